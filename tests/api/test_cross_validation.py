"""Trials on several folds and with several seeds: what they are trained on, and their means."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, TimeSeriesSplit

import tuning
from tests.conftest import TINY
from tuning.execution.loop import Progress
from tuning.problem.file import load_problem

PROBLEM = load_problem(str(TINY))
SPACE = {"batch_size": [16], "units": [2, 8], "activation": ["relu"],
         "learning_rate": [0.1, 0.01], "epochs": [1, 2]}  # fmt: skip


def rows():
    splits = PROBLEM.load_data()
    return tuple(np.concatenate([splits[name][i] for name in splits]) for i in (0, 1))


def search(**options):
    asked = {"trials": 3, "workers": 0, "keep": 0, "cache": False} | options
    data = asked.pop("data", None)
    return tuning.search(PROBLEM.build_model, SPACE, rows() if data is None else data, **asked)


@pytest.mark.parametrize(
    ("folds", "expected"),
    [(3, StratifiedKFold(3, shuffle=True, random_state=0)), (TimeSeriesSplit(3), None)],
)
def test_a_trial_is_the_mean_of_its_folds(folds, expected):
    results = search(folds=folds)
    parts, trials = results.parts, results.trials
    assert len(parts) == 9
    assert sorted(set(parts["fold"])) == [0, 1, 2]
    for name in ("val_accuracy", "train_loss"):
        by_trial = parts.groupby("trial")[name]
        np.testing.assert_allclose(trials[name], by_trial.mean())
        np.testing.assert_allclose(trials[f"{name}_sd"], by_trial.std())
    assert (trials["parts"] == 3).all()
    assert (trials["status"] == "ok").all()
    assert results.best().iloc[0]["val_accuracy"] == trials["val_accuracy"].max()
    x, y = rows()
    pairs = list((expected or folds).split(x, y))
    one = parts[(parts["trial"] == 0) & (parts["fold"] == 1)].iloc[0]
    train, validation = pairs[1]
    alone = tuning.search(
        PROBLEM.build_model, {name: [one[name]] for name in SPACE},
        {"train": (x[train], y[train]), "validation": (x[validation], y[validation])},
        trials=1, workers=0, keep=0, cache=False,
    ).trials.iloc[0]  # fmt: skip
    for name in ("val_loss", "val_accuracy", "train_loss"):
        assert one[name] == pytest.approx(alone[name], rel=2e-5, abs=2e-6)


def test_a_single_fold_validates_rows_that_it_does_not_train():
    x, y = rows()
    train, validation = np.arange(0, 200), np.arange(200, len(x))
    asked = {"trials": 2, "seed": 1}
    one = search(folds=[(train, validation)], **asked).trials
    splits = {"train": (x[train], y[train]), "validation": (x[validation], y[validation])}
    other = search(data=splits, **asked).trials
    for name in ("val_loss", "val_accuracy", "train_loss"):
        np.testing.assert_array_equal(one[name], other[name])


def test_the_model_kept_of_folds_has_learnt_from_all_rows():
    results = search(folds=2, keep=1, trials=2)
    x, y = rows()
    model = results.best_model()
    best = results.best().iloc[0]
    whole = tuning.search(
        PROBLEM.build_model, {name: [best[name]] for name in SPACE},
        {"train": (x, y), "validation": (x, y)}, trials=1, workers=0, cache=False,
    ).best_model()  # fmt: skip
    for one, other in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_repeats_are_seeds_of_every_trial(tmp_path):
    results = search(data=PROBLEM.load_data, repeats=2, seed=5, out=tmp_path / "run")
    assert "the mean of 2 trainings with 2 seeds." in str(results.report())
    assert sorted(set(results.parts["seed"])) == [5, 6]
    assert results.parts["fold"].isna().all()
    assert len(results.parts) == 2 * len(results.trials) == 6
    again = search(data=PROBLEM.load_data, seed=6)
    mine = results.parts[results.parts["seed"] == 6].set_index(["units", "learning_rate", "epochs"])
    other = again.trials.set_index(["units", "learning_rate", "epochs"])
    for key in mine.index.intersection(other.index):
        assert mine.loc[key, "val_loss"] == pytest.approx(other.loc[key, "val_loss"], rel=1e-5)


def test_groups_are_never_on_both_sides():
    x, y = rows()
    groups = np.arange(len(x)) // 40
    results = search(data=(np.concatenate([x, x]), np.concatenate([y, y])), folds=4,
                     groups=np.concatenate([groups, groups]), trials=1)  # fmt: skip
    assert len(results.parts) == 4


class Stop(Progress):
    """Interrupts a search once so many parts are counted."""

    def __init__(self, after):
        self.left = after

    def trained(self, pack, report, counted):
        self.left -= len(counted)
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("strategy", ["packs", pytest.param("random", marks=pytest.mark.slow)])
def test_a_search_of_folds_goes_on_where_it_was(strategy, tmp_path):
    asked = {"folds": 3, "strategy": strategy, "trials": 4, "out": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        search(**asked, progress=[Stop(4)])
    counted = tuning.open(tmp_path / "run").parts
    assert len(counted) >= 4
    results = search(**asked)
    whole = search(**asked | {"out": tmp_path / "whole"})
    columns = ["trial", "seed", "fold", *SPACE, "status", "val_loss", "trained_epochs"]
    assert len(results.parts) == 3 * len(results.trials)
    kept = results.parts.merge(counted, on=list(counted.columns))
    assert len(kept) == len(counted)
    for name in columns:
        ours, theirs = results.parts[name], whole.parts[name]
        if ours.dtype == float:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        else:
            assert ours.tolist() == theirs.tolist()
    assert results.trials["val_loss"].to_numpy() == pytest.approx(whole.trials["val_loss"], 1e-5)
    curves = results.curves.groupby("trial").size()
    assert (curves == results.trials.set_index("trial")["trained_epochs"]).all()


def test_a_target_is_one_of_means():
    results = search(folds=3, trials=8, target=0.0)
    assert len(results.trials) >= 1
    assert len(results.parts) == 3 * len(results.trials)
