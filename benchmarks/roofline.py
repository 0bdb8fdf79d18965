"""How near is an epoch in a pack to what the processor can do?

The time of an epoch, validation included, against that of its matrix products at the core's
measured float32 rate; and against the roofline: products at that rate, plus one pass of the
optimizer's state at the measured bandwidth of the cache that a block is sized for. FLOPs are those
done: of the pixels that are not zero in every image. Every batch size, width and optimizer of the
built-in grid, the activations in turn; the mean is weighted by time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.measuring import PROBLEM, Measurement, as_worker, fastest

MINUTES, ROUNDS = 6, 1
MEMBERS = 12  # a quarter of a program of the grid
STATES = {"sgd": 3, "rmsprop": 5, "adagrad": 5, "adam": 7}  # floats read and written a parameter


def measure(smallest: bool) -> Iterator[Measurement]:
    """Milliseconds and shares of each program, and the core's rates."""
    products, bandwidth, programs = as_worker("jax", shares, 1 if smallest else None)
    for name, each in programs.items():
        yield Measurement(name, "epoch", each["seconds"] * 1e3, "ms")
        for share in ("of products", "of roofline"):
            yield Measurement(name, share, each[share], "")
    whole = sum(each["seconds"] for each in programs.values())
    for share in ("of products", "of roofline"):
        mean = sum(each[share] * each["seconds"] for each in programs.values()) / whole
        yield Measurement("weighted mean", share, mean, "")
    yield Measurement("operations of a product", "rate", products / 1e9, "1e9/s")
    yield Measurement("bytes through the cache", "rate", bandwidth / 1e9, "1e9/s")


def shares(n: int | None) -> tuple[float, float, dict[str, dict[str, float]]]:
    """The rates of products and of the cache, and of the first n programs the time and shares."""
    from tuning import load_problem
    from tuning.problem.problem import load_data

    problem = load_problem(PROBLEM)
    data = load_data(problem)
    products, bandwidth = product_rate(), bandwidth_rate()
    axes = problem.grid.axes
    chosen = itertools.product(axes["batch_size"], axes["neurons"], axes["optimizer"])
    found = {}
    for i, (batch_size, neurons, optimizer) in enumerate(itertools.islice(chosen, n)):
        configuration = {
            **problem.grid[0], "batch_size": batch_size, "neurons": neurons,
            "optimizer": optimizer, "activation": axes["activation"][i % len(axes["activation"])],
            "dropout_1": 0.25, "dropout_2": 0.2, "epochs": 12,
        }  # fmt: skip
        seconds, pixels = epoch_of_a_member(problem, data, configuration)
        floor = seconds_at_least(data, configuration, pixels, products, bandwidth)
        found[f"batch {batch_size}, width {neurons}, {optimizer}"] = {
            "seconds": seconds,
            "of products": floor[0] / seconds,
            "of roofline": sum(floor) / seconds,
        }
    return products, bandwidth, found


def epoch_of_a_member(problem: Any, data: Any, configuration: Any) -> tuple[float, int]:
    """Seconds of a member's epoch in a block as the engine makes it, and the pixels it reads."""
    from tuning.engines import vectorized
    from tuning.packing.axes import Packing
    from tuning.trial import Trial

    members = []
    for i in range(MEMBERS):
        own = member_of(configuration, i)
        steps = vectorized.look_at(problem, data, own, 0, drawn=True)
        trial = Trial(i, own, 0, 48 // MEMBERS * configuration["epochs"])
        members.append(vectorized.Member(own, 0, steps, [trial]))
    program = vectorized.program_of(vectorized.Task(problem, data, Packing(drawn=True)), members)
    n = program.block_size(MEMBERS, vectorized.MOST_AT_ONCE)
    return seconds_of_epoch(program, n, len(data["train"][0])) / n, len(program.kept)


def member_of(configuration: Any, i: int) -> dict[str, Any]:
    """The configuration with numbers of the i-th member."""
    return configuration | {"learning_rate": 0.001 * (i + 1), "dropout_1": 0.5 * (i % 3) / 2}


def seconds_of_epoch(program: Any, n: int, rows: int) -> float:
    """The least seconds of an epoch of n members, of a few behind the one that compiles."""
    import jax

    state = program.start(range(n))
    batches = program.batches([np.random.default_rng(0).permutation(rows)])

    def epoch() -> None:
        nonlocal state
        state, logs = program.epoch(state, batches)
        jax.block_until_ready((state.variables, logs))

    return fastest(epoch, 3)


def seconds_at_least(
    data: Any, configuration: Any, pixels: int, products: float, bandwidth: float
) -> tuple[float, float]:
    """The seconds of an epoch's products, and of the passes of the optimizer's state."""
    rows, scored, width = (
        len(data["train"][0]),
        len(data["validation"][0]),
        configuration["neurons"],
    )
    first, rest = pixels * width, width * width + width
    flops = 2 * rows * (2 * first + 3 * rest) + 2 * scored * (first + rest)
    steps = -(-rows // configuration["batch_size"])
    parameters = first + rest + 2 * width + 1
    passing = steps * parameters * 4 * STATES[configuration["optimizer"]]
    return flops / products, passing / bandwidth


def product_rate(n: int = 2048) -> float:
    """The most float32 operations a second of an n³ product, by NumPy or XLA, on this thread."""
    import jax

    a = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    b = jax.device_put(a)
    by_xla = jax.jit(lambda x: x @ x)
    return 2 * n**3 / min(fastest(lambda: a @ a), fastest(lambda: by_xla(b).block_until_ready()))


def bandwidth_rate() -> float:
    """Bytes a second of x + s·y written over x, of arrays that fill the cache as a block does."""
    import jax

    from tuning.engines.program import BLOCK_BYTES

    n = BLOCK_BYTES // 8
    x, y = (jax.device_put(np.ones(n, np.float32)) for _ in range(2))

    def passes(x: Any, y: Any) -> Any:
        return jax.lax.fori_loop(0, 100, lambda i, x: x + 0.5 * y, x)

    compiled = jax.jit(passes)
    return 100 * 12 * n / fastest(lambda: compiled(x, y).block_until_ready())
