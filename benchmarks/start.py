"""How long does a search take to start?

Seconds of each part of the start on the built-in problem, each in a process of its own: cold, with
no program compiled before, and warm. The command's two trials hold what overlaps. To compare with
another state of the code, in turn: ``python -m benchmarks.start --beside FOLDER`` of a checkout.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import PROBLEM, REPOSITORY, WORKERS, Measurement, apart, run

MINUTES, ROUNDS = 2, 5
SEARCH = ("--random", 2, "--sweep", 0, "--out", "run")
COMMAND = (REPOSITORY / "scripts" / "run_ray.py", *SEARCH)
SHORT = ("--strategy", "packs", "--time", "4s", "--out", "run")  # its first row is of one epoch
BY = {"on Ray": ("scripts/run_ray.py",), "on processes": ("-m", "tuning", "run")}
LOOK_SECONDS = 0.005  # between looks at a run's directory
RAY_STARTS = """
import time; started = time.perf_counter()
from tuning.execution.cluster import ray_cluster
with ray_cluster(workers=2): print(time.perf_counter() - started)
"""


def measure(smallest: bool) -> Iterator[Measurement]:
    """Seconds of each part, and of the command."""
    with tempfile.TemporaryDirectory() as cache:
        for what in ("cold", "warm"):
            kept = None if what == "cold" else cache
            if kept:  # what is compiled by then
                apart(first_pack, kept)
            yield Measurement("Ray starts", what, apart(ray_starts), "s")
            yield Measurement("worker processes are there", what, apart(processes_start), "s")
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
            for where, command in BY.items():
                ready, first = until_rows(REPOSITORY, SHORT, kept, command)
                yield Measurement(f"until packs is ready to train {where}", what, ready, "s")
                said = f"until its first epoch is trained and counted {where}"
                yield Measurement(said, what, first, "s")
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


def processes_start() -> float:
    """Seconds until worker processes of our own can train, their imports included."""

    def start() -> None:
        from tuning import load_problem
        from tuning.execution.processes import ProcessExecutor
        from tuning.execution.worker import Job

        problem, job = load_problem(PROBLEM), Job(0, "jax")
        executor = ProcessExecutor(problem, job, engine="auto", workers=WORKERS)
        stack.callback(executor.close)
        executor.thread_report()

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


def until_rows(
    tree: Path,
    search: tuple[object, ...],
    cache: str | None = None,
    command: tuple[str, ...] = BY["on Ray"],
) -> tuple[float, float]:
    """Seconds from the command until its run is there, so workers can train, and has a row.

    Parameters
    ----------
    tree : Path
        The code: this checkout or another.
    search : tuple
        The options of the command, with ``--out run``.
    cache : str, optional
        The user's cache directory; unless told, an empty one.
    command : tuple of str
        That searches: what follows ``python``.
    """
    script, *others = command
    with tempfile.TemporaryDirectory() as folder:
        places = {"XDG_CACHE_HOME": cache or folder, "PYTHONPATH": str(tree)}
        run_directory = Path(folder) / "run"
        ready = first = 0.0
        started = time.perf_counter()
        process = subprocess.Popen(
            [
                sys.executable,
                script if script.startswith("-") else str(tree / script),
                *others,
                *map(str, search),
            ],
            cwd=folder,
            env={**os.environ, **places},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not first and process.poll() is None:
            time.sleep(LOOK_SECONDS)
            if not ready and (run_directory / "manifest.json").exists():
                ready = time.perf_counter() - started
            with contextlib.suppress(FileNotFoundError):
                if (run_directory / "trials.csv").read_bytes().count(b"\n") > 1:
                    first = time.perf_counter() - started
        if process.wait() != 0 or not first:
            sys.exit(f"the search of {tree} failed")
    return ready, first


def ray_of(tree: Path) -> float:
    """Seconds until Ray runs, its import included, by the code of a checkout."""
    done = subprocess.run(
        [sys.executable, "-c", RAY_STARTS],
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return float(done.stdout)


def compare(other: Path, rounds: int) -> None:
    """Print the least seconds of several rounds, of another checkout and of this one in turn."""
    seconds: dict[str, dict[Path, list[float]]] = {}
    with tempfile.TemporaryDirectory() as caches:
        for round_ in range(rounds + 1):
            for tree in (other, REPOSITORY):
                own = str(Path(caches) / ("this" if tree == REPOSITORY else "other"))
                cold = until_rows(tree, SEARCH) if round_ else (0.0, 0.0)
                warm = until_rows(tree, SEARCH, own)
                if not round_:  # by which the cache was filled
                    continue
                found = {
                    "Ray starts": ray_of(tree),
                    "ready to train, cold": cold[0],
                    "the first of two trials is counted, cold": cold[1],
                    "ready to train, warm": warm[0],
                    "the first of two trials is counted, warm": warm[1],
                }
                for what, value in found.items():
                    seconds.setdefault(what, {}).setdefault(tree, []).append(value)
    for what, by_tree in seconds.items():
        print(f"| {what} | {min(by_tree[other]):.1f} | {min(by_tree[REPOSITORY]):.1f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--beside", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    compare(options.beside.resolve(), options.rounds)
