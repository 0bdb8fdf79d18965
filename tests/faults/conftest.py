"""What the tests of faults share: a run that nothing happened to, and how to compare with it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import PROBLEMS, command
from tuning import load_curves, load_results

STEADY = PROBLEMS / "steady.py"
SEARCH = ("--problem", STEADY, "--random", 0, "--sweep", "all")
OF_THE_MOMENT = ["run", "train_seconds", "worker", "finished_at"]


def run_again(out: Path) -> subprocess.CompletedProcess[str]:
    """The command that goes on with a run."""
    return subprocess.run(
        command("run_ray.py", "--out", out), capture_output=True, text=True, check=False
    )


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> int:
    """How many faults of a kind to inject."""
    n: int = request.config.getoption("--faults")
    return n


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    subprocess.run(
        command("run_ray.py", *SEARCH, "--out", out), check=True, capture_output=True, text=True
    )
    return out


@pytest.fixture
def check(undisturbed: Path) -> Callable[[Path], None]:
    """Checks that a run has what the undisturbed one has: no row lost, none twice, all the same.

    Its numbers to a relative 1e-4: packs that died were trained again in smaller ones.
    """

    def same(run: Path) -> None:
        found, wanted = load_results(run), load_results(undisturbed)
        pd.testing.assert_frame_equal(
            found.drop(columns=OF_THE_MOMENT), wanted.drop(columns=OF_THE_MOMENT), rtol=1e-4
        )
        key = ["trial", "epoch"]
        curves, whole = (load_curves(path).sort_values(key) for path in (run, undisturbed))
        pd.testing.assert_frame_equal(
            curves.drop(columns="run").reset_index(drop=True),
            whole.drop(columns="run").reset_index(drop=True),
            rtol=1e-4,
        )

    return same
