"""How long does a search take to start?

Seconds of each part of the start on the built-in problem, each in a process of its own: cold, with
no program compiled before, and warm. The command's two trials hold what overlaps.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.measuring import PROBLEM, REPOSITORY, WORKERS, Measurement, apart, run

MINUTES, ROUNDS = 2, 5
COMMAND = (REPOSITORY / "scripts" / "run_ray.py", "--random", 2, "--sweep", 0, "--out", "run")


def measure(smallest: bool) -> Iterator[Measurement]:
    """Seconds of each part, and of the command."""
    with tempfile.TemporaryDirectory() as cache:
        for what in ("cold", "warm"):
            kept = None if what == "cold" else cache
            if kept:  # what is compiled by then
                apart(first_pack, kept)
            yield Measurement("Ray starts", what, apart(ray_starts), "s")
            for who, part in (
                ("a worker imports Keras on JAX", imports),
                ("the data are loaded", loads),
                ("one worker looks at all models", looks_at_all),
                (f"the slower of {WORKERS} that share the look", looks_at_shares),
                ("the first pack, of one trial", first_pack),
            ):
                yield Measurement(who, what, apart(part, kept), "s")
            if kept:
                run([*COMMAND], kept)
            seconds, _ = run([*COMMAND], kept)
            yield Measurement("the command with two trials", what, seconds, "s")
            if smallest:
                return


def seconds_of(action: Callable[[], Any]) -> float:
    """Wall seconds of an action."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def ray_starts() -> float:
    """Seconds until Ray runs, its import included."""

    def start() -> None:
        from tuning.execution.cluster import ray_cluster

        stack.enter_context(ray_cluster(workers=WORKERS))

    with contextlib.ExitStack() as stack:
        return seconds_of(start)


def imports(cache: str | None) -> float:
    """Seconds until a process is a worker."""
    return seconds_of(lambda: _prepare(cache))


def loads(cache: str | None) -> float:
    """Seconds to load the data, once the process is a worker."""
    _prepare(cache)
    return seconds_of(_problem)


def looks_at_all(cache: str | None) -> float:
    """Seconds of a worker's look along all axes."""
    return _looks(cache, 0, 1)


def looks_at_shares(cache: str | None) -> float:
    """The seconds that the slower of several workers looks, each in a process of its own."""
    return max(apart(_looks, cache, place, WORKERS) for place in range(WORKERS))


def first_pack(cache: str | None) -> float:
    """Seconds of a pack of one trial, in a worker that has looked at the models."""
    from tuning.execution.worker import after_probe, look, train
    from tuning.samplers import trial_at

    job = _prepare(cache)
    problem, data = _problem()
    job = after_probe(problem, job, look(problem, data, job, True))
    trials = [trial_at(problem.grid, 0, 0, 0)]
    return seconds_of(lambda: list(train(problem, data, trials, job)))


def _looks(cache: str | None, place: int, n: int) -> float:
    from tuning.execution.worker import look

    job = _prepare(cache)
    problem, data = _problem()
    return seconds_of(lambda: look(problem, data, job, True, (place, n)))


def _prepare(cache: str | None) -> Any:
    """Make this process a worker; its job."""
    if cache:
        os.environ["XDG_CACHE_HOME"] = cache
    from tuning.api.settings import cache_directory
    from tuning.execution.worker import Job, prepare

    job = Job(0, "jax", str(cache_directory()))
    prepare(job.backend, job.cache)
    return job


def _problem() -> tuple[Any, Any]:
    from tuning import load_problem
    from tuning.problem.problem import load_data

    problem = load_problem(PROBLEM)
    return problem, load_data(problem)
