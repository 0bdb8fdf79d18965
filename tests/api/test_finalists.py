"""Finalists: the best configurations of a search, trained again with other seeds."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import tuning
from tests.made import AXES, outcome_of
from tuning import TuningError
from tuning.api.settings import Request
from tuning.cli.running import go_on_command
from tuning.execution.loop import Progress
from tuning.report.analyse import analyse
from tuning.runs.finalists import FinalistsTable, load_finalists
from tuning.runs.run import Run
from tuning.trial import Trial

pytestmark = pytest.mark.usefixtures("worker")

X = np.random.default_rng(0).normal(size=(96, 3)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("float32")
DATA = {"train": (X[:32], Y[:32]), "validation": (X[32:64], Y[32:64]), "test": (X[64:], Y[64:])}
SPACE = {"units": [2, 3], "rate": [0.03, 0.1, 0.3], "epochs": [1, 3]}
GRID = tuning.Grid(AXES)
SEEDS = [1, 2, 3]
KEY = ["strategy", "trial"]
SCORES = ["val_loss", "val_accuracy", "test_loss", "test_accuracy", "train_loss", "train_accuracy"]


def built(config):
    import keras

    layers = [
        keras.Input((3,)),
        keras.layers.Dense(config["units"], activation="tanh"),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential(layers)
    optimizer = keras.optimizers.SGD(config["rate"])
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def searched(path, space=SPACE, **options):
    options = {"trials": 6, "finalists": 3, "repeats": 3, **options}
    return tuning.search(built, space, DATA, out=path, workers=0, cache=False, **options)


@pytest.fixture(scope="module")
def heard():
    return Heard()


@pytest.fixture(scope="module")
def results(tmp_path_factory, heard, worker):
    """Those of an undisturbed search with three finalists."""
    return searched(tmp_path_factory.mktemp("results") / "run", progress=[heard])


class Heard(Progress):
    """Hears what progress is told, and interrupts at a report of finalists."""

    def __init__(self, interrupts=False):
        self.begins, self.finalists, self.kept_rows, self.packs = [], 0, [], []
        self._interrupts = interrupts

    def begun(self, trials, course, *, learns):
        self.begins.append(trials)
        self.packs.append([])

    def planned(self, pack):
        self.packs[-1].append(pack)

    def kept(self, rows):
        self.kept_rows.append(rows)

    def trained(self, pack, report, counted):
        self.finalists += sum(name == "finalists" for name, _ in counted)
        if self._interrupts and self.finalists:
            raise KeyboardInterrupt


def same_rows(one, other):
    """Whether two tables of finalists have the same trainings, with the same scores."""
    one, other = (each.sort_values(KEY, ignore_index=True) for each in (one, other))
    names = [*KEY, "index", "seed", "epochs", "trained_epochs", "status"]
    pd.testing.assert_frame_equal(one[names], other[names])
    np.testing.assert_allclose(one[SCORES], other[SCORES], rtol=1e-5)
    return True


def test_the_best_are_trained_with_other_seeds_and_ranked_by_their_means(results, heard):
    assert heard.begins == [6, 9]
    assert heard.finalists == 9
    packs = heard.packs[-1]
    assert sum(len(pack.trials) for pack in packs) == 9
    assert len(packs) == len({trial.configuration["units"] for p in packs for trial in p.trials})
    each = load_finalists(results.path)
    assert sorted(zip(each["strategy"], each["seed"], strict=True)) == [
        (f"finalist_{i}", seed) for i in range(3) for seed in SEEDS
    ]
    assert not set(each["seed"]) & set(results.trials["seed"])
    found = results.finalists()
    assert set(found["index"]) <= set(results.trials["index"])
    assert found["val_accuracy_mean"].is_monotonic_decreasing
    for _, row in found.iterrows():
        own = each[each["strategy"] == row["finalist"]]
        assert (own["index"] == row["index"]).all()
        assert row["val_accuracy_count"] == 3
        assert row["val_accuracy_mean"] == pytest.approx(own["val_accuracy"].mean())
        assert row["val_accuracy_sem"] == pytest.approx(own["val_accuracy"].sem())
        assert row["test_accuracy_mean"] == pytest.approx(own["test_accuracy"].mean())
    choice = results.choice(of="finalists")
    assert (choice["index"], choice["expected"], choice["deviation"]) == (
        found["index"][0], found["val_accuracy_expected"][0], found["val_accuracy_std"][0],
    )  # fmt: skip


def test_a_finalist_trains_as_a_search_with_its_seed_would(tmp_path):
    results = searched(tmp_path / "run", finalists=1, repeats=1)
    (row,) = load_finalists(results.path).to_dict("records")
    own = {name: [row[name]] for name in SPACE}
    alone = searched(tmp_path / "alone", own, trials=1, seed=row["seed"], finalists=0, repeats=None)
    (expected,) = alone.trials.to_dict("records")
    assert [row[name] for name in SCORES] == pytest.approx([expected[n] for n in SCORES], rel=1e-5)


def test_the_model_of_the_finalists_is_the_best_repeat_of_the_best_mean(results):
    each, best = load_finalists(results.path), results.finalists().iloc[0]
    own = each[each["strategy"] == best["finalist"]]
    model = results.best_model(of="finalists")
    scores = model.evaluate(*DATA["validation"], verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx(own["val_accuracy"].max())
    again = tuning.open(results.path).best_model(of="finalists")
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_an_interrupted_search_finishes_its_finalists_and_trains_none_twice(tmp_path):
    six = {"finalists": 6, "repeats": 2}  # of two programs, so that there are two reports
    whole = searched(tmp_path / "whole", **six)
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "run", **six, progress=[Heard(interrupts=True)])
    before = load_finalists(tmp_path / "run")
    assert 0 < len(before) < 12
    with (tmp_path / "run" / "finalists.csv").open("a") as file:
        file.write("run,finalist_0,2,")  # as a crash may leave it
    heard = Heard()
    results = searched(tmp_path / "run", **six, progress=[heard])
    assert heard.kept_rows[-1] == len(before)
    assert heard.finalists == 12 - len(before)
    assert same_rows(load_finalists(results.path), load_finalists(whole.path))
    models = [each.best_model(of="finalists").predict(X, verbose=0) for each in (whole, results)]
    np.testing.assert_allclose(*models, rtol=1e-5)
    heard = Heard()
    searched(tmp_path / "run", **six, progress=[heard])
    assert heard.finalists == 0


def test_finalists_that_were_not_counted_yet_get_the_names_that_they_had(make_run):
    def counted(table, *points):
        for point in points:
            trial = Trial(0, GRID[point], 1, 1, point)
            table.count([(table.names[point], outcome_of(trial, 0.5))])

    with Run.open(make_run()) as run:
        with FinalistsTable(run) as table:
            names = [table.name(point) for point in (7, 5, 3, 9)]
            counted(table, 9, 5)
        assert names == [f"finalist_{i}" for i in range(4)]
        with FinalistsTable(run) as table:
            assert [table.name(point) for point in (7, 5, 3, 9)] == names
            assert table.has("finalist_3", 1)
            assert not table.has("finalist_0", 1)


@pytest.mark.slow
def test_more_repeats_and_finalists_are_added_to_those_that_there_are(tmp_path):
    few = load_finalists(searched(tmp_path / "run", finalists=2, repeats=2).path)
    more = load_finalists(searched(tmp_path / "run").path)
    assert (len(few), len(more)) == (4, 9)
    assert same_rows(more.head(4), few)
    same = searched(tmp_path / "run", finalists=None, repeats=None)
    assert (same.manifest.finalists.n, same.manifest.finalists.repeats) == (3, 3)
    assert len(load_finalists(same.path)) == 9


def test_a_search_that_its_budget_ends_trains_its_finalists(tmp_path):
    results = searched(tmp_path / "run", epochs_total=3, trials=12, keep=0)
    assert len(results.trials) < 12
    assert len(load_finalists(results.path)) == 9
    assert not (results.path / "finalists").exists()
    with pytest.raises(TuningError, match=r"of finalist_. was not kept: a search with keep=N"):
        results.best_model(of="finalists")


def test_a_space_that_is_no_grid_has_finalists(tmp_path):
    space = {"units": tuning.Choice([2, 3]), "rate": tuning.Float(0.01, 0.3, log=True)}
    results = searched(tmp_path / "run", space, trials=4, finalists=2, repeats=2)
    each = load_finalists(results.path)
    assert len(each) == 4
    assert set(each["rate"]) <= set(results.trials["rate"])
    assert results.configuration(results.finalists().iloc[0]).keys() == {"units", "rate"}
    results.best_model(of="finalists")


def test_the_report_says_what_to_expect(results, make_run):
    best = results.finalists().iloc[0]
    said = str(results.report())
    assert "Of 3 finalists, trained again with 3 other seeds each, the best is" in said
    assert f"val_accuracy {best['val_accuracy_mean']:.4f} ± " in said
    assert f"expect val_accuracy {best['val_accuracy_expected']:.4f} of another training" in said
    analyse(results.path, [], Console(file=io.StringIO(), width=200))
    assert "Of 3 finalists" in (results.path / "report.html").read_text()
    none = tuning.open(make_run())
    assert "finalist" not in str(none.report())
    assert none.finalists().empty


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ("all", "of takes 'trials' or 'finalists', not 'all'"),
        ("finalists", "the run has no finalists: a search with finalists=N trains its N best"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(make_run, of, says):
    with pytest.raises(TuningError, match=says):
        tuning.open(make_run()).choice(of=of)


def test_the_command_to_go_on_with_names_them(tmp_path):
    request = Request(finalists=4, repeats=2)
    said = go_on_command(tmp_path, request, search=True)
    assert said.endswith("--finalists 4 --repeats 2")
    assert "finalists" not in go_on_command(tmp_path, request)
