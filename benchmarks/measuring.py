"""What the benchmarks share: a measurement, and processes that start cold."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
PROBLEM = "mnist_2_vs_7"
WORKERS = 2


class Measurement(NamedTuple):
    """A number, by its row and its column in the table of a benchmark."""

    who: str
    what: str
    value: float
    unit: str


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a new process, in an empty directory with nothing compiled."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, get_context("spawn"), _begin, (folder,)) as pool,
    ):
        return pool.submit(function, *arguments).result()


def _begin(folder: str) -> None:
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = folder


def as_worker(backend: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a new process that is what a Ray worker is, on one CPU."""
    return apart(_working, backend, function, *arguments)


def _working(backend: str, function: Callable[..., Any], *arguments: Any) -> Any:
    from tuning.execution.threads import one_cpu

    with one_cpu():
        prepared(backend)
        return function(*arguments)


def prepared(backend: str) -> None:
    """Make this process a worker, with no word of what libraries say as they are imported."""
    from tuning.execution.quiet import quiet
    from tuning.execution.worker import prepare

    with quiet():
        prepare(backend, None)  # as `tuning.execution.worker.train` calls it, so once


def run(command: list[object], cache: str | None = None) -> tuple[float, str]:
    """Wall seconds and output of a Python command, in an empty directory.

    Parameters
    ----------
    command : list
        What follows ``python``.
    cache : str, optional
        The user's cache directory; unless told, an empty one.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=folder,
            env={**os.environ, "XDG_CACHE_HOME": cache or folder},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
    return seconds, done.stdout


def fastest(action: Callable[[], Any], times: int = 7) -> float:
    """The least wall seconds of an action, done once before."""
    action()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
