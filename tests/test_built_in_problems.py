"""The built-in problems: what is found of each is what it says, and both engines agree on it."""

import re
import sys

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from tests.conftest import REPOSITORY, fit, packing_of, train_pack
from tuning import load_problem
from tuning.problem.data import data_fingerprint
from tuning.problem.problem import load_data
from tuning.problems._splits import stratified_rows
from tuning.runs.manifest import read_manifest
from tuning.trial import epochs

BUILT_IN = ["digits_cnn", "diabetes_mlp", "digits_two_inputs", "digits_gru"]
LONGEST = ("digits_cnn", "digits_gru", "digits_two_inputs")
NOISE = ("dropout", "noise", "dropout_1", "dropout_2")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in LONGEST else []) for n in BUILT_IN],
)
def test_a_problem_is_what_it_says_and_both_engines_agree(name, worker):
    problem, packing = packing_of(name)
    module = sys.modules[problem.build_model.__module__]
    programs, trajectories, _ = packing.count(problem.grid)
    says = re.search(r"(\w+) programs train its\s(\w+)\sconfigurations", module.__doc__)
    assert says.groups() == (str(programs), str(problem.grid.size))
    assert trajectories > programs

    data = load_data(problem)
    quiet = [
        trial
        for trial in range(problem.grid.size)
        if not any(problem.grid[trial].get(axis) for axis in NOISE)
    ]
    trials = sorted(quiet, key=lambda trial: epochs(problem.grid[trial]))[:2]
    packed = train_pack(problem, data, trials, 0, packing)
    assert {outcome.status for outcome in packed} == {"ok"}
    alone = fit(problem, data, trials[0], 0)
    assert alone.metrics == pytest.approx(packed[0].metrics, rel=5e-3, abs=5e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_are_split_as_scikit_learn_does(classes):
    for seed in range(10):
        draw = np.random.default_rng(seed)
        labels = np.r_[np.repeat(range(classes), 5), draw.integers(0, classes, seed * 7)]
        wanted = train_test_split(
            np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0
        )
        for found, rows in zip(stratified_rows(labels, 0.2), wanted, strict=True):
            assert found.tolist() == rows.tolist()


def test_the_study_has_the_rows_of_its_published_table():
    problem = load_problem("mnist_2_vs_7")
    published = read_manifest(REPOSITORY / "results" / "mnist_2_vs_7").problem.fingerprint
    assert data_fingerprint(load_data(problem)) == published["data"]
