"""Searches over a table: what a search that trains would have found."""

import pytest

from tests.made import by_rate, grid_scores_of
from tuning import RandomSampler, TuningError
from tuning.analysis.best_of_n import best_of
from tuning.api.replay import SAMPLERS, find_sampler, replay, replays
from tuning.runs.outcomes import outcomes_of
from tuning.runs.table import load_curves, load_results
from tuning.samplers import WAIT, Sampler, trial_at


def table_of(scores):
    rows = scores.trials.reset_index()
    return {outcome.trial.point: outcome for outcome in outcomes_of(rows, scores.manifest)}


def test_a_table_answers_as_the_training_did(make_run):
    path = make_run(
        lambda configuration, trial: None if trial == 5 else by_rate(configuration, trial)
    )
    table = {outcome.trial.index: outcome for outcome in table_of(grid_scores_of(path)).values()}
    rows = load_results(path).set_index("index")
    assert (table[17].status, table[17].seconds) == ("ok", 0.5)
    assert table[17].metrics["val_accuracy"] == rows.loc[17, "val_accuracy"]
    assert table[17].metrics["test_loss"] == rows.loc[17, "test_loss"]
    assert (table[5].status, table[5].metrics) == ("diverged", {})
    assert table[5].error == "the loss was <inf>"


class Listening(Sampler):
    """Asks for the next configuration after the one it heard of last."""

    def __init__(self, space, n_trials, seed):
        self.n_trials, self.heard = n_trials, []
        self._space, self._next, self._asked = space, [seed], 0

    def ask(self, n):
        if not self._next:
            return WAIT
        trial = trial_at(self._space, self._next.pop(), self._asked, 0)
        self._asked += 1
        return [trial]

    def tell(self, outcomes):
        self.heard += outcomes
        self._next.append((outcomes[-1].trial.index + 1) % self._space.size)


def test_a_sampler_hears_the_outcomes_of_the_table(make_run):
    scores = grid_scores_of(make_run())
    sampler = Listening(scores.grid, 4, 20)
    found, seconds = replay(sampler, table_of(scores), 6)
    assert [outcome.trial.index for outcome in found] == [20, 21, 22, 23, 0, 1]
    assert sampler.heard[0].trial.configuration == scores.grid[20]
    assert sampler.heard[0].metrics["val_accuracy"] == scores.values[20]
    assert seconds == 3.0


def test_random_searches_find_what_is_exact(make_run):
    scores = grid_scores_of(make_run())
    found = replays(scores, SAMPLERS["random"], 4, range(3000))
    exact = best_of(scores.values, scores.mode, scores.tests)
    assert found["trials"].unique().tolist() == [4]
    assert found["val_accuracy"].mean() == pytest.approx(exact.mean[3], abs=0.0005)
    assert found["test_accuracy"].mean() == pytest.approx(exact.chosen_mean[3], abs=0.0005)
    assert found["cpu_seconds"].unique().tolist() == [2.0]
    assert (scores.values[found["index"]] == found["val_accuracy"]).all()
    assert (scores.ranks[found["index"]] == found["rank"]).all()


def test_of_a_part_of_the_grid_only_that_part_is_searched(make_run):
    scores = grid_scores_of(make_run(trials=[1, 4, 9, 16]))
    found = replays(scores, SAMPLERS["random"], 4, range(20))
    assert found["val_accuracy"].unique().tolist() == [scores.values.max()]
    assert len(set(replays(scores, SAMPLERS["random"], 1, range(20))["index"])) == 4
    (row,) = replays(scores, SAMPLERS["sweep"], 2, [0]).itertuples(index=False)
    assert (row.trials, row.index) == (2, 4)
    (row,) = replays(scores, SAMPLERS["spaced"], 2, [0]).itertuples(index=False)
    assert (row.trials, row.index) == (2, 9)
    found, _ = replay(RandomSampler(scores.grid, 24, 0), table_of(scores), 9)
    assert sorted(outcome.trial.index for outcome in found) == [1, 4, 9, 16]


def test_what_is_told_is_what_training_tells(make_run):
    """Values of the grid's own kind, and no scores of a trial that has none."""
    axes = {"width": [64, None], "test_augment": ["flip", "none"]}
    scores = grid_scores_of(make_run(lambda _, index: None if index == 3 else 0.5, axes=axes))
    sampler = Listening(scores.grid, 4, 0)
    replay(sampler, table_of(scores), 4)
    for number, outcome in enumerate(sampler.heard):
        assert scores.grid.index(outcome.trial.configuration) == outcome.trial.index == number
        assert ("val_accuracy" in outcome.metrics) == (outcome.status == "ok")
        assert outcome.trial.number == number


def test_without_test_data_the_metric_alone_is_found(make_run):
    scores = grid_scores_of(make_run(has_test=False))
    found = replays(scores, SAMPLERS["random"], 4, range(3))
    assert list(found) == ["seed", "trials", "val_accuracy", "index", "rank", "cpu_seconds"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "def ask(self, n): return [10**9]",
            "ask of the sampler Own failed: TypeError: it gives int, not Trial",
        ),
        (
            "def ask(self, n): return n * [Trial(0, {}, 0, index=5)]",
            "Own has asked for 10,001 trials in a row that the table does not have",
        ),
        ("def ask(self, n): return None", "ask of the sampler Own failed: TypeError"),
        ("def ask(self, n): return 1 / 0", "ask of the sampler Own failed: ZeroDivisionError"),
        (
            "def ask(self, n): return [Trial(0, {}, 0, index=1)]\n"
            "    def tell(self, outcomes): {}['no']",
            "tell of the sampler Own failed: KeyError",
        ),
        ("def __init__(self): pass", "own.py:Own cannot be made: TypeError"),
    ],
)
def test_a_sampler_that_misbehaves_is_said_to(make_run, tmp_path, body, said):
    scores = grid_scores_of(make_run(trials=range(4)))
    init = "" if "__init__" in body else "def __init__(self, *given): pass\n    "
    (tmp_path / "own.py").write_text(
        "from tuning.samplers import Sampler\nfrom tuning.trial import Trial\n\n"
        f"class Own(Sampler):\n    n_trials = 2\n    {init}{body}\n"
    )
    with pytest.raises(TuningError) as error:
        replays(scores, find_sampler(f"{tmp_path / 'own.py'}:Own"), 2, [0])
    assert said in str(error.value)


def test_the_command_prints_and_writes_what_searches_find(make_run, run, tmp_path):
    path = make_run()
    (tmp_path / "own.py").write_text(
        "from tuning import SweepSampler\n\n"
        "class Last(SweepSampler):\n"
        "    def __init__(self, grid, n_trials, seed):\n"
        "        super().__init__(grid, grid.size - n_trials)\n"
    )
    done = run("replay.py", path, "--trials", 3, "--repeats", 50, "--out", "searches.csv")
    assert done.returncode == 0, done.stderr
    assert "50 searches of 3 trials by random, over all of the grid's 24" in done.stdout
    assert "mean, exact" in done.stdout
    assert len((tmp_path / "searches.csv").read_text().splitlines()) == 51
    done = run("replay.py", path, "--sampler", "own.py:Last", "--trials", 2, "--repeats", 1)
    assert "0.9523" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("best", "there is no sampler 'best': take random, sweep, spaced, evolution, "),
        ("no.py:Best", "there is no file no.py to take the sampler Best from"),
        ("own.py:Best", "own.py has no class 'Best'"),
        ("bad.py:Best", "bad.py does not run: ZeroDivisionError"),
    ],
)
def test_a_sampler_that_is_not_there_is_said_to_be(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("")
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(TuningError) as error:
        find_sampler(text)
    assert said in str(error.value)


def test_a_strategy_that_stops_trainings_is_replayed_with_curves(make_run):
    path = make_run(by_rate)
    scores, curves = grid_scores_of(path), load_curves(path)
    found = replays(scores, find_sampler("halving"), 9, range(5), 2, curves=curves)
    assert (found["trials"] > 0).all()
    assert found["rank"].median() < 12
    part = grid_scores_of(make_run(by_rate, trials=range(9), name="part"))
    with pytest.raises(TuningError, match="the strategy 'halving' chooses what to train together"):
        replays(part, find_sampler("halving"), 2, [0])
