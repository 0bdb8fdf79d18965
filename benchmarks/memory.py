"""Does a worker grow with the programs it trains?

Resident MB of one worker process along the 300 programs of the built-in problem's grid (batch size,
optimizer, width and activation), of 640 rows and four epochs each: in packs of 12 trajectories, and
one trial each by `fit` on JAX and on TensorFlow; and the CPU seconds that a program takes.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import PROBLEM, Measurement, apart, prepared

MINUTES, ROUNDS = 22, 1
LOOKS = (1, 25, 50, 100, 200, 300)  # programs
ROWS = 640
STRUCTURAL = ("batch_size", "optimizer", "neurons", "activation")


def measure(smallest: bool) -> Iterator[Measurement]:
    """MB after so many programs, and CPU seconds a program."""
    looks = (1, 2) if smallest else LOOKS
    for who, packed, backend in (
        ("packs", True, "jax"),
        ("fit, jax", False, "jax"),
        ("fit, tensorflow", False, "tensorflow"),
    ):
        megabytes, seconds = apart(grown, packed, backend, looks)
        for n, value in zip(looks, megabytes, strict=True):
            yield Measurement(who, f"after {n}", value, "MB")
        yield Measurement(who, "a program", seconds, "CPU s")


def grown(packed: bool, backend: str, looks: tuple[int, ...]) -> tuple[list[float], float]:
    """MB after so many programs that this process trained as a worker, and CPU seconds of one."""
    from tuning import load_problem
    from tuning.execution.worker import Job, probe, train
    from tuning.problem.problem import load_data
    from tuning.samplers import trial_at

    prepared(backend)
    problem = load_problem(PROBLEM)
    data = {split: (x[:ROWS], y[:ROWS]) for split, (x, y) in load_data(problem).items()}
    job = Job(0, backend)
    if packed:
        job = Job(0, backend, packing=probe(problem, data, job, pack=True).packing)
    axes = problem.grid.axes
    programs = itertools.product(*(axes[name] for name in STRUCTURAL))
    lifted = list(itertools.product(axes["learning_rate"], axes["dropout_1"]))
    megabytes = []
    started = time.process_time()
    for n, program in enumerate(itertools.islice(programs, looks[-1]), 1):
        base = problem.grid[0] | dict(zip(STRUCTURAL, program, strict=True))
        members = [base | {"learning_rate": a, "dropout_1": b} for a, b in lifted]
        indices = [problem.grid.index(each) for each in (members if packed else members[:1])]
        trials = [trial_at(problem.grid, i, i, 0) for i in indices]
        told = [each for report in train(problem, data, trials, job) for each in report.outcomes]
        assert {each.engine for each in told} == {"vectorized" if packed else "fit"}, told
        if n in looks:
            megabytes.append(resident())
    return megabytes, (time.process_time() - started) / looks[-1]


def resident() -> float:
    """The memory that this process has, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
