"""A search that promotes is killed at random moments: same rows, same winner as undisturbed."""

import contextlib
import random
import subprocess

import pandas as pd
import psutil
import pytest

import tuning
from tests.conftest import command
from tests.faults.conftest import OF_THE_MOMENT, STEADY
from tests.faults.test_processes import workers_of
from tests.integration.test_run_ray import start
from tuning import load_curves, load_results

HALVING = (
    "--problem", STEADY, "--strategy", "halving", "--trials", 20, "--epochs-min", 1,
    "--reduction", 2, "--seed", 3,
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of halving that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(
        command("run_ray.py", *HALVING, "--out", out), check=True, capture_output=True, text=True
    )
    return out


@pytest.mark.faults
@pytest.mark.parametrize("kills", [3, pytest.param(20, id="twenty times")])
def test_halving_is_killed_at_any_moment(kills, whole, tmp_path, by):
    assert load_results(whole)["trained_epochs"].max() == 3  # some were promoted twice
    chance, killed, runs = random.Random(kills), 0, 0
    while killed < kills:
        out = tmp_path / f"run {runs}"
        killed += disturb(out, chance, kills - killed, by)
        runs += 1
        check(out, whole)


def disturb(out, chance, most, by):
    """Goes on with a run until it is whole, and kills its command or workers; how many it did."""
    killed = 0
    while True:
        process = start(*HALVING, "--out", out, by=by)
        while killed < most and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(1, 10))
            if process.poll() is not None:
                break
            killed += 1
            if workers := chance.choice([workers_of(process), []]):
                with contextlib.suppress(psutil.NoSuchProcess):
                    chance.choice(workers).kill()
            else:
                process.kill()
        _, errors = process.communicate(timeout=300)
        if process.returncode == 0:
            return killed
        assert process.returncode < 0, errors


def check(out, whole):
    found, wanted = (load_results(run).sort_values("trial") for run in (out, whole))
    pd.testing.assert_frame_equal(
        found.drop(columns=OF_THE_MOMENT).reset_index(drop=True),
        wanted.drop(columns=OF_THE_MOMENT).reset_index(drop=True),
        rtol=1e-4,
    )
    key = ["trial", "epoch"]
    curves, all_curves = (load_curves(run).sort_values(key) for run in (out, whole))
    pd.testing.assert_frame_equal(
        curves.drop(columns="run").reset_index(drop=True),
        all_curves.drop(columns="run").reset_index(drop=True),
        rtol=1e-4,
    )
    best, wanted_best = (tuning.open(run).best() for run in (out, whole))
    assert best["trial"].tolist() == wanted_best["trial"].tolist()
