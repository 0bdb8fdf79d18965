"""Searches by the driver itself, without the command around it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import PROBLEM, WORKERS


def seconds_to_sweep(start: int, stop: int, workers: int) -> float:
    """Seconds to train a range of the built-in grid, once Ray and Keras have started."""
    with _started(PROBLEM, workers, "auto") as (executor, problem):
        return _search(executor, problem, start, stop)


def seconds_of_nothing(name: str, packed: bool, trials: int | None = None) -> float:
    """Seconds to search the first trials of a grid, or all, with workers that train nothing.

    The run is left in the directory ``run``.
    """
    import ray

    from tuning.engines.reports import Report
    from tuning.execution import ray as module
    from tuning.execution.worker import Told
    from tuning.trial import Outcome

    class Idle(module.RayWorker):
        def train(self, problem, data, trials, job, **_):
            rng = np.random.default_rng(trials[0].index)
            names = [f"{s}_{m}" for s in ("val", "test", "train") for m in ("loss", "accuracy")]
            scores = rng.random((len(trials), len(names))).round(4).tolist()
            outcomes = [
                Outcome(trial, "ok", "none", "none", dict(zip(names, own, strict=True)))
                for trial, own in zip(trials, scores, strict=True)
            ]
            yield Told(Report(outcomes))

    module._Worker = ray.remote(num_cpus=1)(Idle)
    with _started(name, WORKERS, "auto" if packed else "fit") as (executor, problem):
        return _search(executor, problem, 0, trials or problem.grid.size)


def _search(executor: Any, problem: Any, start: int, stop: int) -> float:
    from tuning.execution.loop import search
    from tuning.runs.manifest import make_manifest
    from tuning.runs.run import Run
    from tuning.samplers import SweepSampler

    about = {"code": "", "model": "", "data": ""}
    manifest = make_manifest(
        problem,
        about,
        ["loss", "accuracy"],
        better=("max", "keras.metrics.BinaryAccuracy"),
        engine="auto",
        backend="jax",
        seed=0,
        strategies={"sweep": {"points": "all", "order": "grid"}},
    )
    with Run.create(Path("run"), manifest) as run:
        started = time.perf_counter()
        sweep = {"sweep": SweepSampler(problem.grid, start, stop)}
        search(sweep, executor, run, executor.packer)
        return time.perf_counter() - started


@contextlib.contextmanager
def _started(name: str, workers: int, engine: str) -> Iterator[tuple[Any, Any]]:
    """An executor that has looked at a problem, on a Ray of its own, and the problem."""
    from tuning import load_problem
    from tuning.api.settings import cache_directory
    from tuning.execution.cluster import ray_cluster
    from tuning.execution.ray import RayExecutor
    from tuning.execution.worker import Job
    from tuning.problem.problem import load_data

    problem = load_problem(name)
    with ray_cluster(workers=workers) as cluster:
        job = Job(0, "jax", str(cache_directory()))
        executor = RayExecutor(problem, job, engine=engine, cluster=cluster)
        executor.load(load_data(problem))
        executor.probe()
        yield executor, problem
