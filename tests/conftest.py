"""What the tests share: small problems, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tuning.training.worker import prepare

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="tuning-tests-")

REPOSITORY = Path(__file__).resolve().parent.parent
PROBLEMS = Path(__file__).resolve().parent / "problems"
TINY = PROBLEMS / "tiny.py"

Command = Callable[..., subprocess.CompletedProcess[str]]


def command(script: str, *arguments: object) -> list[str]:
    """The words that run one of the scripts."""
    return [sys.executable, str(REPOSITORY / "scripts" / script), *map(str, arguments)]


@pytest.fixture(scope="session")
def worker() -> None:
    """Makes the test's own process what a Ray worker is."""
    prepare("jax")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a script in an empty directory, as a user would."""
    monkeypatch.chdir(tmp_path)

    def call(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(script, *arguments),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return call
