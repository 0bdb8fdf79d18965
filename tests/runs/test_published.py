"""The published table of the built-in problem: whole, and of one piece."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tests.conftest import REPOSITORY
from tuning import TuningError, load_curves, load_problem, load_results
from tuning.analysis.best_of_n import best_of
from tuning.analysis.compare import compare
from tuning.analysis.grid_scores import grid_scores
from tuning.analysis.seed_noise import seed_noise
from tuning.api.merge import merge
from tuning.report.answer import answer, random_trials
from tuning.report.terminal import duration
from tuning.runs.manifest import FORMAT, differences, read_manifest
from tuning.runs.run import Run

PUBLISHED = REPOSITORY / "results" / "mnist_2_vs_7"
VALIDATION = 2445  # images
TEST = 2060
SEEDS = (1, 2)
MEGABYTES = 15


@pytest.fixture(scope="module")
def trials():
    return load_results(PUBLISHED)


def test_it_has_every_configuration_once(trials):
    assert read_manifest(PUBLISHED).grid == load_problem("mnist_2_vs_7").grid
    assert trials["index"].tolist() == trials["trial"].tolist() == list(range(43_200))
    assert trials["strategy"].unique().tolist() == ["sweep"]
    assert trials["seed"].unique().tolist() == [0]


def test_its_values_are_in_range(trials):
    ok = trials[trials["status"] == "ok"]
    assert len(ok) > 0.99 * len(trials)
    for column, images in (("val_accuracy", VALIDATION), ("test_accuracy", TEST)):
        right = ok[column] * images
        assert right.between(0, images).all()
        assert np.abs(right - right.round()).max() < 1e-3
    for column in ("val_loss", "test_loss", "train_loss"):
        assert (ok[column] >= 0).all()
    assert (ok["train_seconds"] > 0).all()
    assert ok["engine"].unique().tolist() == ["vectorized"]


def test_a_shorter_training_is_the_beginning_of_the_longest(trials):
    curves = load_curves(PUBLISHED)
    assert len(curves) >= 0.99 * 12 * 14_400
    longest = curves.assign(longest=curves["index"])
    ok = trials[trials["status"] == "ok"]
    ok = ok.assign(longest=ok["index"] - ok["index"] % 3 + 2, epoch=ok["epochs"])
    both = ok.merge(longest, on=["longest", "epoch"], suffixes=("", "_in_curve"))
    assert len(both) == len(ok)
    for column in ("val_accuracy", "val_loss"):
        assert (both[column] == both[f"{column}_in_curve"]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tenth_was_trained_with_other_seeds(seed):
    path, manifest = PUBLISHED / f"seed-{seed}", read_manifest(PUBLISHED)
    again, again_manifest = load_results(path), read_manifest(path)
    assert differences(replace(again_manifest, seed=0), manifest) == []
    assert again["index"].tolist() == list(range(0, 43_200, 10))
    assert again["seed"].unique().tolist() == [seed]


def test_the_readme_says_what_it_says(trials):
    manifest = read_manifest(PUBLISHED)
    scores = grid_scores(trials, manifest)
    others = [PUBLISHED / f"seed-{seed}" for seed in SEEDS]
    noise = seed_noise([scores, *(grid_scores(load_results(p), read_manifest(p)) for p in others)])
    found = best_of(scores.values, scores.mode, scores.tests, most=random_trials(scores))
    readme = (REPOSITORY / "README.md").read_text().replace("\n> ", " ")
    for sentence in answer(compare(trials, manifest), scores, found, noise):
        assert sentence in readme
    assert f"{duration(manifest.published.cpu_seconds)} of CPU time" in readme


def test_it_is_small():
    size = sum(file.stat().st_size for file in PUBLISHED.rglob("*") if file.is_file())
    assert size < MEGABYTES * 10**6


def test_a_run_of_format_1_is_read_under_todays_names():
    path = REPOSITORY / "results" / "random_5_seeds" / "seed-0"
    manifest, trials, curves = read_manifest(path), load_results(path), load_curves(path)
    assert (manifest.format, manifest.strategies) == (1, {"random": {"trials": 20}})
    assert manifest.splits == ["train", "validation", "test"]
    assert trials["trial"].tolist() == list(range(20))
    grid = manifest.grid
    for row in trials.to_dict("records"):
        assert grid[row["index"]] == {axis: row[axis] for axis in grid.axes}
    last = curves.groupby(["trial", "index"], as_index=False)["epoch"].max()
    both = last.merge(trials, on=["trial", "index"])
    assert len(both) == 20
    assert (both["epoch"] == both["epochs"]).all()


def test_a_run_of_format_1_is_not_gone_on_with_but_merges_into_one_that_is(tmp_path):
    old = tmp_path / "old"
    shutil.copytree(REPOSITORY / "results" / "random_5_seeds" / "seed-0", old)
    with pytest.raises(TuningError, match=r"made by an earlier version, .* merge .*old NEW makes"):
        Run.open(old)
    merge([old], tmp_path / "new", Console(quiet=True))
    with Run.open(tmp_path / "new") as run:
        assert run.manifest.format == FORMAT
    for load in (load_results, load_curves):
        before, after = load(old), load(tmp_path / "new")
        key = [name for name in ("trial", "epoch") if name in before]
        before, after = (
            table.drop(columns="run").sort_values(key, ignore_index=True)
            for table in (before, after)
        )
        pd.testing.assert_frame_equal(before, after, check_dtype=False)
        assert set(load(tmp_path / "new")["run"]) == {"new"}
