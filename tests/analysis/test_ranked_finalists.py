"""Finalists are ranked by their means, and the best mean is not taken at its word."""

import numpy as np
import pandas as pd
import pytest

from tests.made import manifest_of
from tuning.analysis.finalists import ranked_finalists
from tuning.runs.columns import columns_of

METRIC = "val_accuracy"
AXES = {"mean": [1, 2, 3, 4, 5], "point": [0]}  # names that statistics have, too
MANIFEST = manifest_of(AXES)
SPACE = MANIFEST.space


def row(index, score, *, seed=0, strategy="random", trial=None, status="ok"):
    own = {} if score is None else {METRIC: score, "test_accuracy": score - 0.01}
    number = index if trial is None else trial
    key = {"run": "r", "strategy": strategy, "trial": number, "index": index, "seed": seed}
    return {**key, **SPACE[index], "trained_epochs": 1, "status": status, **own}


def table(rows):
    return pd.DataFrame(rows, columns=columns_of(MANIFEST))


def repeats(scores):
    """Each finalist's trainings; None for one that diverged."""
    return table(
        row(index, score, seed=1 + k, strategy=f"finalist_{index}", trial=k,
            status="diverged" if score is None else "ok")
        for index, own in scores.items() for k, score in enumerate(own)
    )  # fmt: skip


FOUND = table([row(index, 0.9 + 0.01 * index) for index in range(5)])


def test_the_best_mean_is_first_and_what_diverged_is_behind():
    each = {0: [0.90, 0.92], 1: [0.94, 0.96], 2: [0.99, None], 3: [None, None]}
    found = ranked_finalists(repeats(each), FOUND, MANIFEST)
    assert found["finalist"].tolist() == ["finalist_1", "finalist_0", "finalist_2", "finalist_3"]
    assert found["index"].tolist() == [1, 0, 2, 3]
    assert found["mean"].tolist() == [2, 1, 3, 4]
    assert found[f"{METRIC}_count"].tolist() == [2, 2, 1, 0]
    assert found[f"{METRIC}_mean"].tolist()[:3] == pytest.approx([0.95, 0.91, 0.99])
    assert found[f"{METRIC}_sem"][0] == pytest.approx(0.01)
    assert found["test_accuracy_mean"][0] == pytest.approx(0.94)
    assert np.isnan(found[f"{METRIC}_mean"][3])


def test_less_is_better_of_a_loss():
    manifest = manifest_of(AXES, mode="min")
    found = ranked_finalists(repeats({0: [0.3, 0.3], 1: [0.1, 0.1]}), FOUND, manifest)
    assert found["index"].tolist() == [1, 0]


def test_of_its_trials_in_the_search_the_best_is_told():
    twice = pd.concat([FOUND, table([row(1, 0.99, strategy="sweep", trial=7)])])
    found = ranked_finalists(repeats({1: [0.9, 0.9]}), twice, MANIFEST)
    assert (found["strategy"][0], found["trial"][0]) == ("sweep", 7)


def test_means_that_only_seeds_tell_apart_are_expected_to_be_the_same():
    each = {0: [0.90, 0.96], 1: [0.97, 0.91]}
    found = ranked_finalists(repeats(each), FOUND, MANIFEST)
    assert found[f"{METRIC}_expected"].tolist() == pytest.approx([0.935, 0.935])
    apart = {0: [0.5, 0.5], 1: [0.9, 0.9]}
    found = ranked_finalists(repeats(apart), FOUND, MANIFEST)
    assert found[f"{METRIC}_expected"].tolist() == pytest.approx([0.9, 0.5])


def test_a_finalist_whose_scores_are_far_apart_says_little_of_the_others():
    each = {0: [0.990, 0.992, 0.991], 1: [0.988, 0.991, 0.990], 2: [0.99, 0.5, 0.99]}
    found = ranked_finalists(repeats(each), FOUND, MANIFEST)
    assert found["index"][0] == 0
    assert 0.9895 < found[f"{METRIC}_expected"][0] < found[f"{METRIC}_mean"][0]


@pytest.mark.parametrize("each", [{0: [0.9, 0.8]}, {0: [0.9], 1: [0.8]}])
def test_what_cannot_be_corrected_is_the_mean(each):
    found = ranked_finalists(repeats(each), FOUND, MANIFEST)
    assert found[f"{METRIC}_expected"].tolist() == found[f"{METRIC}_mean"].tolist()


def test_the_expectation_of_the_best_is_nearer_to_the_truth_than_its_mean():
    random = np.random.default_rng(0)
    means, expected, truth = [], [], []
    for _ in range(200):
        true = 0.9 + 0.01 * random.standard_normal(5)
        each = {i: (true[i] + 0.02 * random.standard_normal(3)).tolist() for i in range(5)}
        best = ranked_finalists(repeats(each), FOUND, MANIFEST).iloc[0]
        means.append(best[f"{METRIC}_mean"])
        expected.append(best[f"{METRIC}_expected"])
        truth.append(true[best["index"]])
    lucky = np.mean(means) - np.mean(truth)
    assert lucky > 0.005
    assert abs(np.mean(expected) - np.mean(truth)) < lucky / 2
