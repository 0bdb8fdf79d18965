"""Searches that begin from an earlier run, with real small models."""

import numpy as np
import pytest

import tuning
from tuning import RunStopped, TuningError
from tuning.runs.table import load_curves

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
PART = X, (X[:, :1] > 0).astype("float32")
OTHER = X, (X[:, 1:2] > 0).astype("float32")
SPACE = {"units": [1, 2, 3, 4], "rate": [0.001, 0.01, 0.1, 0.3, 1.0], "epochs": [1, 2, 4]}
QUICK = "halving"  # of them, in the quick tests
WARM = ["random", "halving", "hyperband", "iepoch", "evolution", "packs", "optuna"]


def build(config):
    import keras

    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(config["units"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.SGD(config["rate"]), "binary_crossentropy", metrics=["accuracy"])
    return model


def search(out, data=PART, **options):
    splits = dict.fromkeys(("train", "validation"), data)
    options = {"workers": 0, "backend": "jax", "cache": False, "metric": "val_loss", **options}
    return tuning.search(build, SPACE, splits, out=out, keep=0, **options)


def rows(results):
    table = results.trials.sort_values("trial").reset_index(drop=True)
    return table[["trial", "index", "status", "val_loss"]].round(6)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    return search(tmp_path_factory.mktemp("earlier") / "run", trials=12, strategy="random")


@pytest.mark.parametrize(
    "strategy",
    [
        "halving",
        *(pytest.param(each, marks=pytest.mark.slow) for each in WARM if each != "halving"),
    ],
)
def test_a_warm_search_that_is_interrupted_ends_as_one_that_is_not(tmp_path, earlier, strategy):
    asked = {"strategy": strategy, "trials": 12, "warm": earlier.path}
    whole = search(tmp_path / "whole", **asked)
    cold = search(tmp_path / "cold", strategy=strategy, trials=12)
    assert rows(whole)["index"].tolist() != rows(cold)["index"].tolist()
    fewer = {"trials": 6} if strategy == "random" else {"epochs_total": 5}
    part = search(tmp_path / "part", **{**asked, **fewer})
    assert 0 < len(part.trials) < len(whole.trials)
    assert rows(search(tmp_path / "part", epochs_total=10_000, **asked)).equals(rows(whole))


def test_what_the_earlier_run_has_trained_is_not_trained_again(tmp_path, earlier):
    found = search(tmp_path / "run", strategy="random", trials=10, warm=earlier.path)
    best = earlier.best(10)
    assert found.trials["index"].tolist() == best["index"].tolist()
    assert found.trials["finished_at"].tolist() == best["finished_at"].tolist()
    assert found.trials["worker"].tolist() == best["worker"].tolist()
    curves = load_curves(found.path)
    assert len(curves) == best["epochs"].sum()
    assert found.trials["val_loss"].tolist() == best["val_loss"].tolist()


@pytest.mark.parametrize("change", [{"data": OTHER}, {"seed": 1}])
def test_of_other_data_or_another_seed_all_is_trained(tmp_path, earlier, change):
    found = search(tmp_path / "run", strategy="random", trials=4, warm=earlier.path, **change)
    best = earlier.best(4)
    assert found.trials["index"].tolist() == best["index"].tolist()
    assert (found.trials["val_loss"] != best["val_loss"].to_numpy()).any()


def test_a_score_of_the_earlier_run_may_be_the_target(tmp_path, earlier):
    target = float(earlier.best(1)["val_loss"].iloc[0])
    found = search(tmp_path / "run", strategy="random", trials=50, warm=earlier.path, target=target)
    assert len(found.trials) < 50
    assert found.best(1)["val_loss"].iloc[0] == target


def test_an_earlier_run_that_is_gone_is_missed(tmp_path):
    with pytest.raises((TuningError, RunStopped), match="there is no run at"):
        search(tmp_path / "run", trials=4, warm=tmp_path / "gone")
