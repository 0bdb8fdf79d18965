"""Folds in a pack: each is trained and validated as plain Keras does with its rows alone."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import TINY, changed, packing_of
from tuning.engines.fit import fit_on
from tuning.execution.worker import Job, train
from tuning.problem.data import map_arrays
from tuning.problem.folds import FOLDS, rows_of
from tuning.problem.problem import load_data
from tuning.trial import Trial

pytestmark = pytest.mark.usefixtures("worker")


def in_folds(data, cuts):
    """All rows of training and validation, with folds that validate the rows between cuts."""
    parts = tuple(
        np.concatenate([one, other])
        for one, other in zip(data["train"], data["validation"], strict=True)
    )
    rows = np.arange(len(parts[0]))
    folds = tuple(
        (np.setdiff1d(rows, rows[start:stop]), rows[start:stop])
        for start, stop in itertools.pairwise(cuts)
    )
    return data | {"train": parts, "validation": parts, FOLDS: folds}


def forward(data, sizes, width):
    """Folds that train the first rows, and validate those behind, as of a time series."""
    whole = in_folds(data, [0, 1])
    rows = np.arange(len(whole["train"][0]))
    return whole | {FOLDS: tuple((rows[:n], rows[n : n + width]) for n in sizes)}


def alone(data, fold):
    """The data of one fold, as a user would cut it."""

    def own(split):
        return map_arrays(lambda array: array[rows_of(data, split, fold)], data[split])

    return {"train": own("train"), "validation": own("validation"), "test": data["test"]}


CUTS = {
    "even": lambda data: in_folds(data, [0, 48, 96, 144]),
    "uneven": lambda data: in_folds(data, [0, 30, 77, 78, 256]),
    "series": lambda data: forward(data, [20, 70, 64, 101], 33),
}


def trained(problem, data, trials, packing):
    reports = list(train(problem, data, trials, Job(0, "jax", packing=packing)))
    return {each.trial.key: each for report in reports for each in report.outcomes}


def asked(problem, data):
    """The trials of two configurations, each with its own seed, on all folds."""
    chosen = [i for i in range(problem.grid.size) if problem.grid[i]["batch_size"] == 16][:4:2]
    return [
        Trial(i, problem.grid[i], seed, 2, i, fold)
        for seed, i in enumerate(chosen)
        for fold in range(len(data[FOLDS]))
    ]


@pytest.mark.parametrize(
    "cut", ["series", *(pytest.param(each, marks=pytest.mark.slow) for each in ("even", "uneven"))]
)
def test_a_fold_in_a_pack_is_what_keras_makes_of_its_rows_alone(cut, tmp_path):
    problem, packing = packing_of(changed(tmp_path, ("keras.layers.Dropout(0.1),", "")))
    data = CUTS[cut](load_data(problem))
    trials = asked(problem, data)
    told = trained(problem, data, trials, packing)
    assert {*told} == {trial.key for trial in trials}
    for trial in trials:
        one, other = told[trial.key], fit_on(problem, alone(data, trial.fold), trial).outcome
        assert (one.engine, one.status) == ("vectorized", "ok")
        for logs, others in zip(one.curve, other.curve, strict=True):
            assert logs == pytest.approx(others, rel=2e-5, abs=2e-6)
        assert one.metrics == pytest.approx(other.metrics, rel=2e-5, abs=2e-6)
    assert fit_on(problem, data, trial).outcome.metrics == other.metrics


def test_folds_of_other_lengths_draw_their_own_noise(tmp_path):
    problem, packing = packing_of(TINY)
    data = CUTS["series"](load_data(problem))
    trials = asked(problem, data)[:3]
    told = trained(problem, data, trials, packing)
    for trial in trials:
        own = alone(data, trial.fold)
        (other,) = trained(problem, own, [replace(trial, fold=None)], packing).values()
        assert told[trial.key].metrics == pytest.approx(other.metrics, rel=2e-5, abs=2e-6)
