"""One suite over all registered strategies: what the loop relies on."""

import itertools
import json
import math
import sys
from random import Random

import pandas as pd
import pytest

from tests.conftest import REPOSITORY
from tests.made import AXES, Climber
from tuning import Grid, TuningError
from tuning.packing.axes import UNPACKED, Axis, Packing
from tuning.packing.packs import Packer
from tuning.samplers import FINISHED, WAIT, register, samplers_of, strategies, strategy, title_of
from tuning.samplers.protocol import Goal
from tuning.samplers.rungs import RungSampler
from tuning.space.parameters import Choice, Float, Int
from tuning.space.space import Space
from tuning.trial import Outcome, Trial

SETTINGS = {"sweep": {"points": "12", "order": "grid"}}  # where it is not a number of trials
GRID = Grid(AXES)


GOAL = Goal("val_accuracy", "max")
PACKED = Packing(
    {
        "width": Axis("structural", ""),
        "activation": Axis("structural", ""),
        "rate": Axis("lifted", ""),
        "epochs": Axis("fidelity", ""),
    }
)


def made(name, seed=0, n=12, packing=PACKED, space=GRID, **more):
    settings = SETTINGS.get(name, {"trials": n, **more})
    sampler = samplers_of({name: json.loads(json.dumps(settings))}, space, seed)[name]
    sampler.meet(Packer(packing, 100, 1), GOAL)
    return sampler


def score(trial):
    return {"val_accuracy": (trial.index * 7919 % 101) / 101}


def outcome(trial):
    return Outcome(
        trial, "ok" if trial.epochs == trial.meant else "stopped", "fit", "jax", score(trial)
    )


def told(sampler, sizes):
    """All trials of a sampler that is asked for so many at a time and told of each in order."""
    trials = []
    for n in itertools.chain(sizes, itertools.repeat(3)):
        answer = sampler.ask(n)
        assert answer is not WAIT, "it has heard of all its trials"
        if answer is FINISHED:
            return trials
        assert len(answer) > 0
        assert len(answer) <= n or sampler.ahead
        trials += answer
        sampler.tell([outcome(each) for each in answer])


@pytest.fixture(params=sorted(strategies()))
def name(request):
    return request.param


def test_its_trials_are_numbered_and_of_the_space(name):
    trials = told(made(name), [5, 1])
    assert [trial.number for trial in trials] == list(range(len(trials)))
    begun = {repr({**t.configuration, "epochs": 0}) for t in trials}
    assert 0 < (len(begun) if made(name).ahead else len(trials)) <= made(name).n_trials
    for trial in trials:
        assert isinstance(trial, Trial)
        assert trial.configuration == GRID[trial.index]
        assert trial.since < trial.epochs <= trial.configuration["epochs"]
        assert trial.seed == 0
    assert any(trial.epochs == trial.meant for trial in trials)
    assert len({trial.key for trial in trials}) == len(trials)


def test_the_same_seed_gives_the_same_trials(name):
    assert told(made(name), [1, 4]) == told(made(name), [1, 4])


def test_it_has_words(name):
    sampler = made(name)
    assert sampler.name == name
    assert sampler.title == title_of(name)
    assert str(sampler.n_trials) in sampler.describe()
    assert sampler.begins_with(made(name))


def test_a_strategy_that_does_not_learn_gives_the_same_however_it_is_asked(name):
    if strategy(name).learns:
        pytest.skip("what it gives may depend on what it has heard")
    assert told(made(name), [1, 4]) == told(made(name), [12])


def test_the_strategy_of_the_docs_searches_the_published_table(tmp_path, run):
    text = (REPOSITORY / "docs" / "strategies.md").read_text()
    (tmp_path / "climb.py").write_text(text.split("```python\n")[1].split("```")[0])
    table = REPOSITORY / "results" / "mnist_2_vs_7"
    words = ("--sampler", "climb.py:Climber", "--trials", 60, "--repeats", 20, "--out", "found.csv")
    found = {}
    for at_once in (1, 4):
        done = run("replay.py", table, *words, "--at-once", at_once)
        assert done.returncode == 0, done.stderr
        found[at_once] = pd.read_csv(tmp_path / "found.csv")
    assert found[1].equals(found[4])  # the same trials on any number of workers
    assert (found[1]["trials"] == 60).all()
    assert found[1]["rank"].median() < 43_200 / 61  # where a random search comes to


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(TuningError, match="no strategy 'radnom': did you mean 'random'"):
        samplers_of({"radnom": {}}, GRID, 0)
    with pytest.raises(TuningError, match=r"no strategy 'grid': there are .*random, sweep"):
        strategy("grid")


def test_settings_that_it_does_not_take_are_refused():
    with pytest.raises(TuningError, match="the strategy 'random' has no setting 'trails'"):
        samplers_of({"random": {"trails": 3}}, GRID, 0)


def test_a_class_of_ones_own_is_a_strategy_by_its_name():
    register("climber")(Climber)
    assert samplers_of({"climber": {"trials": 5}}, GRID, 1)["climber"].n_trials == 5
    with pytest.raises(TuningError, match="'a b' cannot name a strategy"):
        register("a b")


LEARNERS = [name for name, kind in sorted(strategies().items()) if issubclass(kind, RungSampler)]
WIDE = Space(
    {
        "layers": [1, 2],
        "width": Int(4, 64, log=True),
        "second": Choice([(8, 8), None, "wide"]).when(layers=2),
        "rate": Float(1e-4, 1e-1, log=True),
        "epochs": [3, 9],
    }
)
WIDE_PACKED = Packing(
    {
        "layers": Axis("structural", ""),
        "width": Axis("structural", ""),
        "second": Axis("structural", ""),
        "rate": Axis("lifted", ""),
        "epochs": Axis("fidelity", ""),
    }
)


class Played:
    """A search of two workers that takes jobs, and tells them in the order of their trials."""

    def __init__(self, sampler, score):
        self.sampler, self.score, self.jobs = sampler, score, []

    def go(self, most=400):
        flying = []
        while len(self.jobs) < most:
            answer = self.sampler.ask(2)
            if isinstance(answer, list):
                self.jobs.append(answer)
                flying.append(answer)
                continue
            if answer is FINISHED:
                return self.jobs
            job = flying.pop(0)
            self.sampler.tell([self.outcome(each) for each in job])
        return self.jobs

    def outcome(self, trial):
        score = self.score(trial)
        if score is None:
            return Outcome(trial, "diverged", "fit", "jax", error="the loss was <inf>")
        status = "ok" if trial.epochs == trial.meant else "stopped"
        return Outcome(trial, status, "fit", "jax", {"val_accuracy": score})


def by_rate(trial):
    distance = abs(math.log10(trial.configuration["rate"]) + 2)
    if distance > 1.6:
        return None
    return 0.9 - 0.2 * distance + 0.002 * trial.epochs


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("packing", [WIDE_PACKED, UNPACKED], ids=["packed", "one by one"])
def test_a_learner_searches_any_space(name, packing):
    sampler = made(name, n=60, space=WIDE, packing=packing)
    jobs = Played(sampler, by_rate).go()
    trials = [trial for job in jobs for trial in job]
    for trial in trials:
        assert trial.configuration == WIDE.draw(Random(0), trial.configuration)
    whole = [trial for trial in trials if trial.epochs == trial.meant == 9]
    assert whole
    begun = {repr({**t.configuration, "epochs": 0}) for t in trials if t.since == 0}
    assert len(begun) <= 60
    assert len({json.dumps(t.configuration) + str(t.epochs) for t in trials}) == len(trials)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_goes_on_only_from_where_it_has_been(name):
    reached = {}
    for job in Played(made(name, n=60, space=WIDE, packing=WIDE_PACKED), by_rate).go():
        for trial in job:
            key = repr({**trial.configuration, "epochs": 0})
            assert trial.since == 0 or trial.since in reached[key]
        for trial in job:
            key = repr({**trial.configuration, "epochs": 0})
            reached.setdefault(key, set()).add(trial.epochs)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_job_of_a_learner_is_of_one_program(name):
    if name == "optuna":
        pytest.skip("Optuna knows of no programs")
    jobs = Played(made(name, n=60, space=WIDE, packing=WIDE_PACKED), by_rate).go()
    for job in jobs:
        assert len({repr(WIDE_PACKED.program(t.configuration)) for t in job}) == 1
    assert max(len(job) for job in jobs) > 1


@pytest.mark.parametrize("name", LEARNERS)
def test_what_has_no_score_does_not_go_on(name):
    bad = set()
    for job in Played(made(name, n=60, space=WIDE, packing=WIDE_PACKED), by_rate).go():
        for trial in job:
            key = repr({**trial.configuration, "epochs": 0})
            assert key not in bad or trial.since == 0
        bad |= {repr({**t.configuration, "epochs": 0}) for t in job if by_rate(t) is None}


def play(sampler, workers):
    """All jobs of a search by so many workers, which end in the order in which they began."""
    player, flying = Played(sampler, by_rate), []
    while True:
        answer = sampler.ask(1) if len(flying) < workers else None
        if isinstance(answer, list):
            player.jobs.append(answer)
            flying.append(answer)
        elif answer is FINISHED:
            return player.jobs
        else:
            sampler.tell([player.outcome(each) for each in flying.pop(0)])


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_takes_the_same_decisions_with_any_number_of_workers(name):
    def decided(workers):
        return play(made(name, n=60, space=WIDE, packing=WIDE_PACKED), workers)

    assert decided(1) == decided(2) == decided(8)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_begins_with_what_it_is_told_to(name):
    start = [
        {"layers": 1, "width": 8, "rate": 0.01, "epochs": 9},
        {"layers": 2, "width": 8, "second": "wide", "rate": 0.02, "epochs": 9},
    ]
    sampler = made(name, n=20, space=WIDE, packing=WIDE_PACKED, start=start)
    jobs = Played(sampler, by_rate).go()
    first = [t.configuration for job in jobs[:2] for t in job]
    rates = [each["rate"] for each in first]
    assert 0.01 in rates
    assert 0.02 in rates


def test_a_whole_number_to_start_with_is_one_of_a_range_of_floats():
    space = Space({"rate": Float(0.0, 2.0), "epochs": [4]})
    (first, *_), *_ = Played(
        made("halving", n=4, space=space, packing=UNPACKED, start=[{"rate": 1, "epochs": 4}]),
        lambda trial: 0.5,
    ).go()
    assert repr(first.configuration["rate"]) == "1.0"


@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "optuna"])
def test_a_prior_says_where_values_are_drawn(name):
    prior = {"layers": {"1": 0, "2": 3}, "rate": {"mean": 0.01, "width": 0.02}}
    sampler = made(name, n=30, space=WIDE, packing=WIDE_PACKED, prior=prior)
    trials = [trial for job in Played(sampler, by_rate).go() for trial in job]
    assert {trial.configuration["layers"] for trial in trials} == {2}
    assert all(0.003 < trial.configuration["rate"] < 0.03 for trial in trials)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_with_other_settings_is_another(name):
    assert made(name, n=9).begins_with(made(name, n=9))
    assert not made(name, n=9).begins_with(made(name, n=10))
    assert not made(name, n=9, members=3).begins_with(made(name, n=9))
    kind, old, new = strategy(name), {"trials": 8}, {"trials": 9}
    assert kind.going_on(old, {**new, "members": 3}) == {**new, "members": 3}
    assert kind.going_on(new, old) == old


def begun(jobs):
    """The trainings that jobs begin, in order."""
    trials = [trial for job in jobs for trial in job if trial.since == 0]
    return list(dict.fromkeys(repr({**t.configuration, "epochs": 9}) for t in trials))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_begins_the_same_trainings_however_many_there_are_to_be(name):
    found, longer = (
        begun(play(made(name, n=n, space=WIDE, packing=WIDE_PACKED), 2)) for n in (20, 31)
    )
    assert (len(found), len(longer)) == (20, 31)
    assert longer[:20] == found


@pytest.mark.parametrize("name", LEARNERS)
def test_a_search_that_is_extended_keeps_what_it_has(name):
    def trials(settings):
        sampler = samplers_of({name: settings}, WIDE, 0)[name]
        sampler.meet(Packer(WIDE_PACKED, 100, 1), GOAL)
        jobs = play(sampler, 2)
        return sampler, [trial for job in jobs for trial in job], len(begun(jobs))

    old, before, _ = trials({"trials": 20})
    settings = strategy(name).going_on({"trials": 20}, {"trials": 31})
    new, after, n = trials(settings)
    assert n == new.n_trials == 31
    assert after[: len(before)] == before
    assert new.begins_with(old)
    assert not old.begins_with(new)
    again = strategy(name).going_on(settings, {"trials": 40})
    assert trials(again)[1][: len(after)] == after
    assert strategy(name).going_on(again, {"trials": 31}) == settings
    assert strategy(name).going_on(again, again) == again
    at_once = trials({"trials": 31})[1]
    assert (after == at_once) == (name == "evolution")  # which has no training go on


def test_less_of_a_loss_is_better():
    sampler = strategy("halving")(GRID, 0, 12, members=3)
    sampler.meet(Packer(PACKED, 100, 1), Goal("val_loss", "min"))
    gone_on = []
    while isinstance(job := sampler.ask(1), list):
        gone_on += [t.configuration["rate"] for t in job if t.since]
        sampler.tell(
            [Outcome(t, "ok", "fit", "jax", {"val_loss": t.configuration["rate"]}) for t in job]
        )
    assert gone_on
    assert set(gone_on) == {0.001}


def test_rungs_are_values_of_the_space_where_these_are_free():
    space = Grid({"rate": [0.1, 0.2, 0.3, 0.4], "epochs": [4, 8, 12]})
    packing = Packing({"rate": Axis("lifted", ""), "epochs": Axis("fidelity", "")})
    sampler = made("halving", n=4, space=space, packing=packing, epochs_min=1, reduction=4)
    asked = [
        (t.epochs, t.configuration["epochs"], t.since)
        for job in Played(sampler, lambda t: 0.5 + t.configuration["rate"]).go()
        for t in job
    ]
    assert asked[:4] == [(1, 12, 0)] * 4
    assert asked[4:] == [(4, 4, 1)]
    straight = made("evolution", n=1, space=space, packing=packing)
    assert [(t.epochs, t.configuration["epochs"]) for t in straight.ask(1)] == [
        (4, 4), (8, 8), (12, 12),
    ]  # fmt: skip


def test_without_programs_a_configuration_has_its_own_epochs():
    space = Grid({"rate": [0.1, 0.2, 0.3, 0.4], "epochs": [4, 12]})
    sampler = made("halving", n=8, space=space, packing=UNPACKED, members=8, reduction=4)
    trials = sampler.ask(1)
    assert {(t.epochs, t.meant) for t in trials} == {(1, 4), (1, 12)}


REFUSED = [
    ({"trials": 0}, "trials takes a number from 1, not 0"),
    ({"ahead": 0}, "ahead takes a number from 1, not 0"),
    ({"epochs_min": 0}, "epochs_min takes a number from 1, not 0"),
    ({"epochs_min": 3}, "epochs_min is 3: a rung above the largest epoch, 2"),
    ({"reduction": 1}, "reduction takes a number from 2, not 1"),
    ({"members": "x"}, "members takes a number from 1, not 'x'"),
    ({"prior": {"depth": {}}}, "there is a prior of 'depth', which is not in the space"),
    ({"prior": {"width": {"9": 1}}}, "the prior of 'width' has a weight of '9', which is not a"),
    ({"prior": {"width": {"8": 0, "16": 0}}}, "'width' needs weights of 0 or more, not all 0"),
    ({"prior": {"rate": {"mean": 1, "width": 1}}}, "'rate' has a mean and a width, but it has no"),
    (
        {"start": [{"width": 8}]},
        "a configuration to start with is not of the space: .* lacks axis 'activ",
    ),
    (
        {"start": [{"width": 9, "activation": None, "rate": 0.1, "epochs": 2}]},
        "a configuration to start with is not of the space: 9 is not a value of axis 'width'",
    ),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED)
def test_bad_settings_of_a_learner_are_refused(settings, says):
    with pytest.raises(TuningError, match=says):
        samplers_of({"halving": {"trials": 5, **settings}}, GRID, 0)


def test_bad_priors_of_a_range_are_refused():
    for own, says in (
        ({"0.1": 2}, "the prior of 'rate' needs a mean and a width: it has a range"),
        ({"mean": 3, "width": 1}, "'rate' has the mean 3, which is not between 0.0001 and 0.1"),
        ({"mean": 0.01, "width": 0}, "the prior of 'rate' has the width 0, not above 0"),
    ):
        with pytest.raises(TuningError, match=says):
            samplers_of({"halving": {"trials": 5, "prior": {"rate": own}}}, WIDE, 0)


def test_what_optuna_does_not_have_is_refused(monkeypatch):
    for settings, says in (
        ({"sampler": "TPE"}, "Optuna has no sampler 'TPE': there are .*TPESampler"),
        ({"pruner": "Median"}, "Optuna has no pruner 'Median': there are .*MedianPruner"),
        ({"sampler": "GridSampler"}, "Optuna's sampler GridSampler cannot be made without"),
    ):
        with pytest.raises(TuningError, match=says):
            samplers_of({"optuna": {"trials": 5, **settings}}, GRID, 0)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(TuningError, match=r"needs Optuna: pip install 'tuning\[optuna\]'"):
        samplers_of({"optuna": {"trials": 5}}, GRID, 0)


def test_packs_draws_where_an_earlier_run_was_good():
    space = Space({"optimizer": ["a", "b", "c", "d"], "rate": Float(0.0, 1.0), "epochs": [4]})
    packing = Packing(
        {
            "optimizer": Axis("structural", ""),
            "rate": Axis("lifted", ""),
            "epochs": Axis("fidelity", ""),
        }
    )
    random = Random(0)
    earlier = []
    for number in range(40):
        configuration = space.draw(random)
        good = 0.9 if configuration["optimizer"] == "c" else 0.1
        trial = Trial(number, configuration, 0, 4)
        earlier.append(Outcome(trial, "ok", "fit", "jax", {"val_accuracy": good}))
    sampler = samplers_of({"packs": {"trials": 40}}, space, 0)["packs"]
    sampler.recall(earlier)
    sampler.meet(Packer(packing, 100, 1), GOAL)
    first = sampler.ask(1)
    assert {trial.configuration["optimizer"] for trial in first} == {"c"}


def earlier_run(space=WIDE, n=40):
    """Outcomes of an earlier run, the best first: half of them whole, half stopped."""
    random = Random(7)
    trials = [Trial(i, {**space.draw(random), "epochs": 9}, 0, 9) for i in range(n)]
    whole = [each for each in trials[: n // 2] if by_rate(each) is not None]
    stopped = [Trial(t.number, t.configuration, 0, 1) for t in trials[n // 2 :]]
    outcomes = [
        Outcome(trial, status, "fit", "jax", {"val_accuracy": by_rate(trial)})
        for own, status in ((whole, "ok"), (stopped, "stopped"))
        for trial in sorted(own, key=lambda each: -(by_rate(each) or 0))
        if by_rate(trial) is not None
    ]
    assert 5 < sum(each.status == "ok" for each in outcomes) < len(outcomes) - 5
    return outcomes


def warm(name, earlier, **options):
    options = {"n": 30, "space": WIDE, "packing": WIDE_PACKED, **options}
    settings = {"trials": options["n"], **options.get("settings", {})}
    sampler = samplers_of({name: settings}, options["space"], options.get("seed", 0))[name]
    sampler.recall(earlier)
    sampler.meet(Packer(options["packing"], 100, 1), GOAL)
    return sampler


RECALLING = [name for name in sorted(strategies()) if name in [*LEARNERS, "random"]]


@pytest.mark.parametrize("name", RECALLING)
def test_an_earlier_run_changes_what_is_decided_the_same_with_any_number_of_workers(name):
    earlier = earlier_run()
    found = play(warm(name, earlier), 1)
    assert found == play(warm(name, earlier), 2) == play(warm(name, earlier), 8)
    assert found != play(warm(name, earlier[:4]), 1)
    assert found != play(made(name, n=30, space=WIDE, packing=WIDE_PACKED), 1)


@pytest.mark.parametrize("name", ["random", "halving", "hyperband", "iepoch"])
def test_a_strategy_without_a_model_tries_the_best_of_an_earlier_run_first(name):
    earlier = earlier_run()
    jobs = play(warm(name, earlier), 1)
    first = {repr(each.trial.configuration) for each in earlier[:10]}
    begun = [t for job in jobs for t in job if t.since == 0]
    begun = list(dict.fromkeys(repr({**t.configuration, "epochs": 9}) for t in begun))
    assert set(begun[:10]) == first
    own = [{"layers": 1, "width": 8, "rate": 0.01, "epochs": 9}]
    some = play(warm(name, earlier, n=4, settings={"start": own}), 1)
    begun = [t for job in some for t in job if t.since == 0]
    assert len({repr({**t.configuration, "epochs": 9}) for t in begun}) == 4
    assert begun[0].configuration["rate"] == 0.01


def test_evolution_has_the_best_of_an_earlier_run_as_its_population():
    earlier = earlier_run()
    whole = [each.trial.configuration for each in earlier if each.status == "ok"]
    sampler = warm("evolution", earlier, settings={"population": 5, "sample": 5})
    child = sampler.ask(1)[0].configuration
    changed = [name for name in whole[0] if child.get(name) != whole[0][name]]
    assert len(set(changed) - {"second", "epochs"}) <= 1  # of the best; what it brings with it
    grows = warm("evolution", earlier, settings={"population": 20, "members": 30})
    assert len({repr(WIDE_PACKED.program(t.configuration)) for t in grows.ask(1)}) == 1
    assert [each.worth for each in sampler._population] == sorted(
        each.worth for each in sampler._population
    )


def test_optuna_has_the_trainings_of_an_earlier_run_in_its_study():
    earlier = earlier_run()
    shorter = earlier[0].trial
    stage = Trial(99, {**shorter.configuration, "epochs": 3}, 0, 3)
    metrics = {"val_accuracy": by_rate(stage)}
    earlier.append(Outcome(stage, "ok", "fit", "jax", metrics))
    study = warm("optuna", earlier)._study
    states = [trial.state.name for trial in study.trials]
    assert states.count("COMPLETE") == sum(each.trial.epochs == 9 for each in earlier)
    assert states.count("PRUNED") == sum(each.trial.epochs == 1 for each in earlier)
    assert study.best_trial.intermediate_values == {
        3: by_rate(stage),
        9: earlier[0].metrics["val_accuracy"],
    }
    assert study.best_trial.params["rate"] == shorter.configuration["rate"]


def test_a_sweep_learns_nothing_from_an_earlier_run():
    with pytest.raises(TuningError, match="'sweep' learns nothing from an earlier run"):
        made("sweep").recall([])


LISTS = Space(
    {
        "optimizer": ["a", "b", "c", "d", "e", "f"],
        "rate": Float(0.0, 1.0),
        "epochs": [9],
    }
)
OF_LISTS = Packing(
    {
        "optimizer": Axis("structural", ""),
        "rate": Axis("lifted", ""),
        "epochs": Axis("fidelity", ""),
    }
)


def jobs(sampler, n):
    """The first jobs of a sampler that is told of each before the next."""
    found = []
    while len(found) < n and isinstance(trials := sampler.ask(1), list):
        found.append(trials)
        scores = {"val_accuracy": 0.5}
        status = "ok" if trials[0].epochs == trials[0].meant else "stopped"
        sampler.tell([Outcome(trial, status, "fit", "jax", scores) for trial in trials])
    return found


@pytest.mark.parametrize(
    ("settings", "members"),
    [
        ({}, 4),
        ({"compile_seconds": 3.0}, 8),
        ({"compile_seconds": 100.0}, 16),
        ({"compile_seconds": 0}, 1),
        ({"compile_seconds": 3.0, "members": 2}, 2),
    ],
)
def test_packs_draws_more_members_the_longer_a_compile_takes(settings, members):
    sampler = made("packs", n=100, packing=OF_LISTS, space=LISTS, **settings)
    assert [len(trials) for trials in jobs(sampler, 2)] == [members, members]


def test_packs_draws_its_first_programs_before_a_training_goes_on():
    found = jobs(made("packs", n=100, packing=OF_LISTS, space=LISTS, ahead=1), 6)
    assert [trials[0].since for trials in found] == [0, 0, 0, 0, 1, 1]


def test_packs_goes_on_where_a_space_is_used_up_by_its_first_draws():
    space = Space({"rate": [0.1, 0.2, 0.3], "epochs": [9]})
    packing = Packing({"rate": Axis("lifted", ""), "epochs": Axis("fidelity", "")})
    found = jobs(made("packs", n=100, packing=packing, space=space), 9)
    assert [(len(trials), trials[0].since) for trials in found] == [(3, 0), (1, 1)]


def test_packs_draws_the_best_of_its_first_programs_again_though_many_have_its_score():
    good = {"a": 0.90, "b": 0.91, "c": 0.92, "d": 0.93, "e": 0.94, "f": 0.99}
    sampler = made("packs", n=80, packing=OF_LISTS, space=LISTS, ahead=1, compile_seconds=0.01)
    played = Played(sampler, lambda trial: good[trial.configuration["optimizer"]])
    draws = [job[0].configuration["optimizer"] for job in played.go(40) if job[0].since == 0]
    assert set(draws[10:]) == {max(draws[:4])}
