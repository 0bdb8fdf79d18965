"""One suite over all registered strategies: what the loop relies on."""

import itertools
import json

import pandas as pd
import pytest

from tests.conftest import REPOSITORY
from tests.made import AXES, Climber
from tuning import Grid, TuningError
from tuning.samplers import FINISHED, WAIT, register, samplers_of, strategies, strategy, title_of
from tuning.trial import Outcome, Trial

SETTINGS = {"sweep": {"points": "12", "order": "grid"}}  # where it is not a number of trials
GRID = Grid(AXES)


def made(name, seed=0, n=12):
    settings = SETTINGS.get(name, {"trials": n})
    return samplers_of({name: json.loads(json.dumps(settings))}, GRID, seed)[name]


def score(trial):
    return {"val_accuracy": (trial.index * 7919 % 101) / 101}


def told(sampler, sizes):
    """All trials of a sampler that is asked for so many at a time and told of each in order."""
    trials = []
    for n in itertools.chain(sizes, itertools.repeat(3)):
        answer = sampler.ask(n)
        assert answer is not WAIT, "it has heard of all its trials"
        if answer is FINISHED:
            return trials
        assert 0 < len(answer) <= n
        trials += answer
        sampler.tell([Outcome(each, "ok", "fit", "jax", score(each)) for each in answer])


@pytest.fixture(params=sorted(strategies()))
def name(request):
    return request.param


def test_its_trials_are_numbered_and_of_the_space(name):
    trials = told(made(name), [5, 1])
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert 0 < len(trials) <= made(name).n_trials
    for trial in trials:
        assert isinstance(trial, Trial)
        assert trial.configuration == GRID[trial.index]
        assert trial.epochs == trial.configuration["epochs"]
        assert trial.seed == 0


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
    with pytest.raises(TuningError, match="the strategy 'random' cannot be made: TypeError"):
        samplers_of({"random": {"trails": 3}}, GRID, 0)


def test_a_class_of_ones_own_is_a_strategy_by_its_name():
    register("climber")(Climber)
    assert samplers_of({"climber": {"trials": 5}}, GRID, 1)["climber"].n_trials == 5
    with pytest.raises(TuningError, match="'a b' cannot name a strategy"):
        register("a b")
