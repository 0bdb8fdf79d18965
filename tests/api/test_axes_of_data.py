"""Searches whose axes are in the data: each trial is trained and scored on its own."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import TimeSeriesSplit

import tuning
from tests.conftest import REPOSITORY
from tuning import Float, TuningError
from tuning.execution.loop import Progress

BATCH = 64


def cancer(config):
    """Breast cancer from the first features alone, with noise added to the training data."""
    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0))[:256, : config["features"]].astype("float32")
    noise = np.random.default_rng(1).normal(size=x[:192].shape).astype("float32")
    train = x[:192] + config["noise"] * noise, y[:192]
    return {"train": train, "validation": (x[192:], y[192:256])}


def model_of(config):
    import keras

    model = keras.Sequential(
        [keras.Input((config["features"],)), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(keras.optimizers.SGD(config["rate"]), "binary_crossentropy", metrics=["accuracy"])
    return model


SPACE = {
    "batch_size": BATCH,
    "features": [4, 12],
    "noise": Float(0.0, 0.5),
    "rate": Float(0.01, 0.3),
    "epochs": [1, 2],
}


def search(build_model=model_of, space=SPACE, data=cancer, **options):
    asked = {"trials": 5, "workers": 0, "keep": 0, "cache": False} | options
    return tuning.search(build_model, space, data, **asked)


def repeated(results, number, **names):
    """The validation loss of the lines of plain Keras that repeat a trial."""
    names = {"build_model": model_of, "load_data": cancer} | names
    exec(results.how_to_repeat(number), names)
    return names["history"].history["val_loss"][-1]


@pytest.mark.parametrize("workers", [0, 2])
def test_scores_are_those_of_plain_keras_on_the_trials_own_data(workers):
    results = search(workers=workers)
    assert (results.trials["status"] == "ok").all()
    assert (results.trials["engine"] == "vectorized").all()
    assert results.trials["features"].nunique() == 2
    for number in range(3):
        assert "data = load_data(config)" in results.how_to_repeat(number)
        assert repeated(results, number) == pytest.approx(
            results.trials.set_index("trial")["val_loss"][number], rel=1e-4
        )


def test_through_fit_as_well():
    results = search(engine="fit", trials=3)
    assert (results.trials["engine"] == "fit").all()
    for number in range(3):
        assert repeated(results, number) == pytest.approx(
            results.trials.set_index("trial")["val_loss"][number], rel=1e-5
        )


@pytest.mark.slow
def test_through_fit_on_tensorflow_as_well():
    asked = {"backend": "tensorflow", "engine": "fit", "workers": 1}
    trials = search(trials=3, **asked).trials
    assert (trials["status"] == "ok").all()
    assert trials["features"].nunique() == 2
    for _, row in trials.iterrows():
        space = {name: [row[name]] for name in SPACE}
        alone = search(space=space, data=cancer(row), **asked | {"trials": 1}).trials.iloc[0]
        assert row["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-5)


def test_what_cannot_be_loaded_fails_its_own_trials():
    def loader(config):
        if config["features"] == 12:
            raise OSError("no such disk")
        return cancer(config)

    trials = search(data=loader, trials=8).trials
    failed = trials["features"] == 12
    assert 0 < failed.sum() < 8
    assert (trials[failed]["status"] == "failed").all()
    assert (trials[~failed]["status"] == "ok").all()
    assert set(trials[failed]["error"]) == {
        "load_data() of problem 'search' failed: OSError: no such disk"
    }


def windows(config):
    """The next value of a series from a window of values before it, whose length is an axis."""
    n = config["window"]
    series = np.sin(np.arange(200) / 3).astype("float32")
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], n)
    return {"train": (x[:, :, None], series[n:])}


def recurrent(config):
    import keras

    model = keras.Sequential(
        [keras.Input((config["window"], 1)), keras.layers.SimpleRNN(2), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(config["rate"]), "mse", metrics=["mae"])
    return model


WINDOWS = {"batch_size": [BATCH], "window": [3, 6], "rate": [0.05, 0.1], "epochs": [2]}
OF_WINDOWS = {"metric": "val_loss", "trials": 4}


@pytest.mark.slow
def test_each_window_length_is_cut_into_folds_of_its_own():
    how = TimeSeriesSplit(2)
    results = search(recurrent, WINDOWS, windows, folds=how, **OF_WINDOWS)
    assert len(results.parts) == 8
    for _, row in results.parts.iterrows():
        config = {name: row[name] for name in WINDOWS}
        x, y = windows(config)["train"]
        train, validation = list(how.split(x))[int(row["fold"])]
        own = {"train": (x[train], y[train]), "validation": (x[validation], y[validation])}
        space = {name: [value] for name, value in config.items()}
        alone = search(recurrent, space, own, metric="val_loss", trials=1).trials.iloc[0]
        assert row["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-4)


@pytest.mark.slow
def test_folds_and_what_load_data_uses_are_sent_to_workers():
    length = 200

    class Halves:
        """A splitter of the user's."""

        def split(self, x, y=None, groups=None):
            yield np.arange(len(x) // 2), np.arange(len(x) // 2, len(x))

    def loader(config):
        x, y = windows(config)["train"]
        return x[:length], y[:length]

    asked = {"folds": Halves(), "repeats": 2, **OF_WINDOWS}
    here = search(recurrent, WINDOWS, loader, **asked)
    there = search(recurrent, WINDOWS, loader, workers=2, **asked)
    assert len(there.parts) == 8
    keys = ["window", "rate", "seed"]
    ours, theirs = (each.parts.set_index(keys)["val_loss"] for each in (here, there))
    pd.testing.assert_series_equal(ours.sort_index(), theirs.sort_index(), rtol=1e-4)


def test_the_last_rows_of_each_variant_validate():
    space = WINDOWS | {"rate": [0.1]}
    loader = lambda config: windows(config)["train"]  # noqa: E731
    results = search(recurrent, space, loader, validation_split=0.25, **OF_WINDOWS)
    for _, row in results.trials.iterrows():
        x, y = windows(row)["train"]
        own = {name: [row[name]] for name in space}
        asked = {"metric": "val_loss", "trials": 1, "validation_split": 0.25}
        alone = search(recurrent, own, (x, y), **asked).trials.iloc[0]
        assert row["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-4)


@pytest.mark.parametrize("strategy", ["halving", "packs"])
def test_trainings_that_pause_go_on_with_their_own_data(strategy):
    space = {"features": [4, 12], "noise": [0.0, 0.5], "rate": [0.01, 0.1], "batch_size": [BATCH],
             "epochs": [1, 2, 4]}  # fmt: skip
    results = search(space=space, strategy=strategy, trials=12)
    assert (results.trials["status"] == "ok").all()
    last = results.trials["trial"].max()
    assert repeated(results, int(last)) == pytest.approx(
        results.trials.set_index("trial")["val_loss"][last], rel=1e-4
    )


def test_models_finalists_and_ensembles():
    results = search(keep=3, finalists=2, repeats=1, trials=6)
    best = results.best().iloc[0]
    model = results.best_model()
    assert model.input_shape == (None, best["features"])
    scores = model.evaluate(*cancer(best)["validation"], BATCH, verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx(best["val_accuracy"])
    finalists = results.finalists()
    assert len(finalists) == 2
    assert finalists["val_accuracy_mean"].notna().all()


def test_an_ensemble_takes_models_that_are_scored_on_the_same_data():
    results = search(space=SPACE | {"features": [4]}, keep=3, trials=4)
    assert results.ensemble(3).input_shape == (None, 4)
    space = {"features": [4, 12], "noise": [0.0], "rate": [0.1], "batch_size": [BATCH]}
    mixed = search(space=space, keep=2, trials=2)
    with pytest.raises(TuningError, match="an ensemble averages models of the same data, and load"):
        mixed.ensemble(2)


class Stop(Progress):
    """Interrupts a search once a trial is counted."""

    def trained(self, pack, report, counted):
        if counted:
            raise KeyboardInterrupt


@pytest.mark.parametrize("features", [4, 12])
def test_a_run_goes_on_with_the_same_data_alone(features, tmp_path):
    file = tmp_path / "shift.json"

    def loader(config):
        shift = json.loads(file.read_text())[str(config["features"])]
        data = cancer(config)
        return {split: (x + np.float32(shift), y) for split, (x, y) in data.items()}

    def write(shift):
        file.write_text(json.dumps({"4": 0, "12": 0, str(features): shift}))

    asked = {"data": loader, "out": tmp_path / "run"}
    write(0)
    with pytest.raises(KeyboardInterrupt):
        search(**asked, progress=[Stop()])
    assert 0 < len(tuning.open(tmp_path / "run").trials) < 5
    write(1)
    with pytest.raises(TuningError, match="the problem's data has changed"):
        search(**asked)
    write(0)
    names = ["trial", "features", "noise", "val_loss"]
    resumed, whole = search(**asked).trials[names], search(data=loader).trials[names]
    pd.testing.assert_frame_equal(resumed, whole, rtol=1e-4)


FILE = '''
"""Breast cancer, with the number of features and noise as axes."""

import os

import numpy as np

from tests.api.test_axes_of_data import cancer, model_of as build_model

grid = {"batch_size": [64], "features": [4, 12], "noise": [0.0, 0.5], "rate": [0.01, 0.1, 0.3]}


def load_data(config):
    with open("calls", "a") as file:
        print(config["features"], config["noise"], os.getpid(), file=file)
    return cancer(config)
'''


@pytest.mark.parametrize(
    "how", [("tuning", "run"), pytest.param(("run_ray.py",), marks=pytest.mark.slow)]
)
def test_a_problem_file_loads_in_the_workers_and_few_times(how, run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    (tmp_path / "mine.py").write_text(FILE)
    done = run(*how, "--problem", tmp_path / "mine.py", "--random", 0, "--sweep", "all",
               "--workers", 2, "--out", "r")  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = tuning.open(tmp_path / "r").trials
    assert len(trials) == 12
    assert (trials["status"] == "ok").all()
    calls = [line.split() for line in next(tmp_path.rglob("calls")).read_text().splitlines()]
    by_process = pd.DataFrame(calls, columns=["features", "noise", "process"])
    assert by_process["process"].nunique() > 1
    assert not by_process.duplicated().any()
    for _, row in trials[trials["rate"] == 0.1].iterrows():
        own = {name: [row[name]] for name in ("batch_size", "features", "noise", "rate")}
        alone = search(space=own, trials=1).trials.iloc[0]
        assert row["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-4)


def test_explain_says_which_axes_the_data_reads(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "mine.py").write_text(FILE)
    done = run("tuning", "explain", "--problem", tmp_path / "mine.py")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if "load_data" in line]
    assert [line[0] for line in lines] == ["features", "noise"]
