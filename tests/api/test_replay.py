"""Searches over a table: what a search that trains would have found."""

import pytest

from tests.made import by_rate, land_of
from tuning import RandomSampler, TuningError
from tuning.analysis.best_of_n import best_of
from tuning.api.replay import SAMPLERS, TableTrainer, find_sampler, replay, replays
from tuning.runs.table import load_results


def test_a_table_answers_as_the_training_did(make_run):
    path = make_run(
        lambda configuration, trial: None if trial == 5 else by_rate(configuration, trial)
    )
    trainer = TableTrainer(land_of(path))
    rows = load_results(path).set_index("index")
    first, second = trainer.train([17, 5])
    assert (first.trial.index, first.status, first.seconds) == (17, "ok", 0.5)
    assert first.metrics["val_accuracy"] == rows.loc[17, "val_accuracy"]
    assert first.metrics["test_loss"] == rows.loc[17, "test_loss"]
    assert (second.status, second.metrics, second.error) == ("diverged", {}, "the loss was <inf>")


def test_a_table_has_no_answer_for_what_it_has_not(make_run):
    trainer = TableTrainer(land_of(make_run(trials=range(6))))
    assert 5 in trainer
    assert 6 not in trainer
    with pytest.raises(TuningError, match="the table of run run has no configuration 6"):
        trainer.train([6])


class Listening:
    """Asks for the next trial after the best it heard of."""

    def __init__(self, grid, n_trials, seed):
        self.n_trials, self.heard, self.next = n_trials, [], [seed]

    def ask(self, n):
        asked, self.next = self.next[:n], self.next[n:]
        return asked

    def tell(self, rows):
        self.heard += rows
        if rows:
            self.next.append((rows[-1]["index"] + 1) % 24)


def test_a_sampler_hears_the_rows_of_the_table(make_run):
    land = land_of(make_run())
    sampler = Listening(land.grid, 4, 20)
    found = replay(sampler, land, TableTrainer(land), 6)
    assert [outcome.trial.index for outcome in found] == [20, 21, 22, 23, 0, 1]
    assert sampler.heard[0]["rate"] == land.grid[20]["rate"]
    assert sampler.heard[0]["val_accuracy"] == land.values[20]


def test_random_searches_find_what_is_exact(make_run):
    land = land_of(make_run())
    found = replays(land, SAMPLERS["random"], 4, range(3000))
    exact = best_of(land.values, land.mode, land.tests)
    assert found["trials"].unique().tolist() == [4]
    assert found["val_accuracy"].mean() == pytest.approx(exact.mean[3], abs=0.0005)
    assert found["test_accuracy"].mean() == pytest.approx(exact.chosen_mean[3], abs=0.0005)
    assert found["cpu_seconds"].unique().tolist() == [2.0]
    assert (land.values[found["index"]] == found["val_accuracy"]).all()
    assert (land.ranks[found["index"]] == found["rank"]).all()


def test_of_a_part_of_the_grid_only_that_part_is_searched(make_run):
    land = land_of(make_run(trials=[1, 4, 9, 16]))
    found = replays(land, SAMPLERS["random"], 4, range(20))
    assert found["val_accuracy"].unique().tolist() == [land.values.max()]
    assert len(set(replays(land, SAMPLERS["random"], 1, range(20))["index"])) == 4
    (row,) = replays(land, SAMPLERS["sweep"], 2, [0]).itertuples(index=False)
    assert (row.trials, row.index) == (2, 4)
    (row,) = replays(land, SAMPLERS["spaced"], 2, [0]).itertuples(index=False)
    assert (row.trials, row.index) == (2, 9)
    trials = replay(RandomSampler(land.grid, 24, 0), land, TableTrainer(land), 9)
    assert sorted(outcome.trial.index for outcome in trials) == [1, 4, 9, 16]


def test_what_is_told_is_what_the_driver_tells(make_run):
    """Values of the grid's own kind, and no scores of a trial that has none."""
    axes = {"width": [64, None], "test_augment": ["flip", "none"]}
    land = land_of(make_run(lambda _, trial: None if trial == 3 else 0.5, axes=axes))
    sampler = Listening(land.grid, 4, 0)
    replay(sampler, land, TableTrainer(land), 4)
    for trial, row in enumerate(sampler.heard):
        assert land.grid.index({axis: row[axis] for axis in axes}) == row["index"] == trial
        assert ("val_accuracy" in row) == (row["status"] == "ok")
        assert row["trial"] == trial


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "def ask(self, n): return [10**9]",
            "Own asks for trial 1,000,000,000: those of this grid are 0 to 23",
        ),
        (
            "def ask(self, n): return [5]",
            "Own has asked for 10,000 trials in a row that the table of run run",
        ),
        ("def ask(self, n): return None", "ask of the sampler Own failed: TypeError"),
        ("def ask(self, n): return 1 / 0", "ask of the sampler Own failed: ZeroDivisionError"),
        (
            "def ask(self, n): return [1]\n    def tell(self, rows): rows[0]['no']",
            "tell of the sampler Own failed: KeyError",
        ),
        ("def __init__(self): pass", "own.py:Own cannot be made: TypeError"),
    ],
)
def test_a_sampler_that_misbehaves_is_said_to(make_run, tmp_path, body, said):
    land = land_of(make_run(trials=range(4)))
    init = "" if "__init__" in body else "def __init__(self, *given): pass\n    "
    (tmp_path / "own.py").write_text(f"class Own:\n    {init}{body}\n")
    with pytest.raises(TuningError) as error:
        replays(land, find_sampler(f"{tmp_path / 'own.py'}:Own"), 2, [0])
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
        ("best", "there is no sampler 'best': take random, sweep, spaced, or FILE.py:CLASS"),
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
