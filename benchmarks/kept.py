"""What does a worker save that keeps its programs in memory?

CPU seconds on the built-in problem, for random programs of its grid: 16 members trained one epoch,
five of them going on to twelve, and 16 others of the program; with what is in memory, and with all
of it forgotten before, where what JAX keeps on the disk stays. And CPU milliseconds of an epoch by
the members at once, which say what it costs to fill a block up.
"""

from __future__ import annotations

import collections
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.measuring import PROBLEM, Measurement, as_worker

MINUTES, ROUNDS = 3, 1
MEMBERS, GOING_ON, EPOCHS = 16, 5, 12
SIZES = (1, 2, 4, 8, 16)


def measure(smallest: bool) -> Iterator[Measurement]:
    """The jobs of a strategy that learns, and epochs by members; of one program at the smallest."""
    for (job, how), seconds in as_worker("jax", of_jobs, 1 if smallest else 6).items():
        yield Measurement(job, how, seconds, "s")
    for neurons in (32,) if smallest else (32, 64, 128):
        for n, seconds in as_worker("jax", of_epochs, neurons).items():
            yield Measurement(f"{neurons} neurons", f"{n} at once", seconds * 1e3, "ms")


def of_jobs(programs: int) -> dict[tuple[str, str], float]:
    """CPU seconds of each job, kept and forgotten: medians over some programs."""
    from tuning.engines.kept import forget_programs
    from tuning.execution.worker import train_prepared
    from tuning.trial import Trial

    problem, data, job = opened(tempfile.mkdtemp())
    grid, random_ = problem.grid, random.Random(0)
    groups = collections.defaultdict(list)
    for index in range(grid.size):
        if grid[index]["epochs"] == EPOCHS:
            groups[job.packing.program(grid[index])].append(index)
    seconds = collections.defaultdict(list)
    for program in random_.sample(list(groups), programs):
        indices = random_.sample(groups[program], 2 * MEMBERS)
        trials = [Trial(i, grid[k], 0, 1, k) for i, k in enumerate(indices)]
        going_on = [replace(t, epochs=EPOCHS, since=1) for t in trials[:GOING_ON]]
        jobs = {"new": trials[:MEMBERS], "going on": going_on, "others": trials[MEMBERS:]}
        states = {}
        for how in ("forgotten", "kept"):
            for name, asked in jobs.items():
                if how == "forgotten" or name == "new":
                    forget_programs()
                begun = time.process_time()
                *_, last = train_prepared(problem, data, asked, job, going_on=states, pauses=True)
                states |= last.paused
                if (name, how) != ("new", "kept"):  # nothing of it is in memory
                    seconds[name, how].append(time.process_time() - begun)
    return {key: statistics.median(each) for key, each in seconds.items()}


def of_epochs(neurons: int) -> dict[int, float]:
    """CPU seconds of an epoch by the number of members at once."""
    import jax

    from tuning.engines import vectorized
    from tuning.trial import Trial

    problem, data, job = opened()
    base = problem.grid[0] | {"neurons": neurons, "epochs": EPOCHS}
    members = []
    for i in range(max(SIZES)):
        configuration = base | {"learning_rate": 0.001 * (1 + i)}
        steps = vectorized.look_at(problem, data, configuration, 0, drawn=job.packing.drawn)
        trial = Trial(i, configuration, 0, EPOCHS)
        members.append(vectorized.Member(configuration, 0, steps, [trial]))
    program = vectorized.program_of(vectorized.Task(problem, data, job.packing), members)
    batches = program.batches([vectorized.row_order(0, 0, len(data["train"][0]))])
    found = {}
    for n in SIZES:
        state, each = program.start(range(n)), []
        for _ in range(4):
            begun = time.process_time()
            state, logs = program.epoch(state, batches)
            jax.block_until_ready(logs)
            each.append(time.process_time() - begun)
        found[n] = min(each)
    return found


def opened(cache=None):
    """The problem, its data, and the settings of its workers."""
    from tuning.execution.worker import Job, look, prepare_own_process
    from tuning.problem.file import load_problem
    from tuning.problem.problem import load_data

    prepare_own_process("jax", cache)
    problem = load_problem(PROBLEM)
    data, job = load_data(problem), Job(0, "jax")
    return problem, data, replace(job, packing=look(problem, data, job, True).packing)
