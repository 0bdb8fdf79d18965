"""What the tests of faults share: a run that nothing happened to, and how to compare with it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

import tuning
from tests.conftest import PROBLEMS, command
from tests.integration.test_run_ray import children_of
from tuning import load_curves, load_problem, load_results
from tuning.problem.problem import load_data
from tuning.runs.best import BEST, model_file

STEADY = PROBLEMS / "steady.py"
SEARCH = ("--problem", STEADY, "--random", 0, "--sweep", "all")
ON_PROCESSES, ON_RAY = ("tuning", "run"), ("run_ray.py",)
OF_THE_MOMENT = ["run", "train_seconds", "worker", "finished_at"]


def run_again(out: Path, by: tuple[str, ...] = ON_RAY) -> subprocess.CompletedProcess[str]:
    """The command that goes on with a run."""
    return subprocess.run(command(*by, "--out", out), capture_output=True, text=True, check=False)


def check_best(run: Path, *, settled: bool) -> None:
    """Checks that the best row counted has its model, which scores what the row says.

    Parameters
    ----------
    run : Path
    settled : bool
        Whether the run ended well: there is this model then, under its strategy's name as well, and
        no other.
    """
    results = tuning.open(run)
    (row,) = results.best().to_dict("records")
    own = model_file(run, "sweep", row["trial"])
    assert own is not None, f"{sorted((run / BEST).glob('*'))} lacks that of {row['trial']}"
    scores = results.best_model().evaluate(
        *load_data(load_problem(str(STEADY)))["validation"], verbose=0, return_dict=True
    )
    assert scores["loss"] == pytest.approx(row["val_loss"], rel=1e-5)
    assert scores["accuracy"] == pytest.approx(row["val_accuracy"], rel=1e-5)
    if settled:
        best = run / BEST / "sweep.keras"
        assert best.samefile(own)
        stems = ("sweep", f"sweep-{row['trial']}")
        there = {path.name for path in (run / BEST).iterdir()}
        assert there == {f"{stem}.{kind}" for stem in stems for kind in ("keras", "json")}


@contextlib.contextmanager
def standing_still(process: subprocess.Popen[str]) -> Iterator[None]:
    """All processes of a command stand still meanwhile."""
    every = [psutil.Process(process.pid), *children_of(process)]

    def send(number: int) -> None:
        for one in every:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


@pytest.fixture(params=[ON_PROCESSES, ON_RAY], ids=["on processes", "on Ray"])
def by(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The command that searches."""
    words: tuple[str, ...] = request.param
    return words


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

    The model of its best row is there. Its numbers to a relative 1e-4: packs that died were trained
    again in smaller ones.
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
        check_best(run, settled=True)

    return same
