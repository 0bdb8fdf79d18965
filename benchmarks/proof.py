"""What does it cost to prove that configurations share a program?

For a member of a pack of 12 of the built-in problem: milliseconds to build its model, to trace it
and to make the program of all of them; and their share of 12 epochs of training, which come on top.
Width 128, every batch size and optimizer.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.measuring import PROBLEM, Measurement, as_worker
from benchmarks.roofline import MEMBERS, member_of, seconds_of_epoch

MINUTES, ROUNDS = 2, 1
EPOCHS = 12


def measure(smallest: bool) -> Iterator[Measurement]:
    """Milliseconds of each part, and the share, for each program."""
    for name, found in as_worker("jax", proofs, 1 if smallest else None).items():
        for what, value in found.items():
            yield Measurement(name, what, value, "" if "share" in what else "ms")


def proofs(n: int | None) -> dict[str, dict[str, float]]:
    """What the first n programs took, medians over their members."""
    from tuning import load_problem
    from tuning.engines import vectorized
    from tuning.engines.models import compiled_model
    from tuning.packing.axes import Packing
    from tuning.problem.problem import load_data
    from tuning.trial import Trial

    problem = load_problem(PROBLEM)
    data = load_data(problem)
    task = vectorized.Task(problem, data, Packing(drawn=True))
    axes = problem.grid.axes
    chosen = itertools.product(axes["batch_size"], axes["optimizer"])
    found = {}
    for batch_size, optimizer in itertools.islice(chosen, n):
        base = problem.grid[0] | {
            "batch_size": batch_size, "neurons": 128, "optimizer": optimizer, "dropout_2": 0.2,
            "epochs": EPOCHS,
        }  # fmt: skip
        members, build, look = [], [], []
        for i in range(MEMBERS):
            own = member_of(base, i)
            started = time.perf_counter()
            compiled_model(problem, own, 0, drawn=True)
            build.append(time.perf_counter() - started)
            started = time.perf_counter()
            steps = vectorized.look_at(problem, data, own, 0, drawn=True)
            look.append(time.perf_counter() - started)
            members.append(vectorized.Member(own, 0, steps, [Trial(i, own, 0, EPOCHS)]))
        started = time.perf_counter()
        program = vectorized.program_of(task, members)
        made = (time.perf_counter() - started) / MEMBERS
        size = program.block_size(MEMBERS, vectorized.MOST_AT_ONCE)
        epoch = seconds_of_epoch(program, size, len(data["train"][0])) / size
        proof = float(np.median(look)) + made
        found[f"batch {batch_size}, {optimizer}"] = {
            "build": float(np.median(build)) * 1e3,
            "trace": float(np.median(look) - np.median(build)) * 1e3,
            "program": made * 1e3,
            "epoch": epoch * 1e3,
            "share": proof / (proof + EPOCHS * epoch),
        }
    return found
