"""How much faster do heads train over a frozen backbone that is computed once?

CPU seconds of a pack's training, over a backbone with ten times the arithmetic of the head's
training step: what it makes of each row computed once (its computation included), and computed in
every step; and of one configuration by Keras' `fit` on JAX. Each is measured in a process of its
own, the second time that it trains the configurations, so that compiled programs are there. Members
of one seed read the same rows, of which a pack computes the backbone once for all of them anyway.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.measuring import Measurement, as_worker

MINUTES, ROUNDS = 3, 3
ROWS, COLUMNS, WIDTH, FEATURES, HEAD, BATCH, EPOCHS, MEMBERS = 4096, 256, 1024, 128, 128, 64, 30, 4
HOW = ("computed once", "in every step", "Keras' fit")


def measure(smallest: bool) -> Iterator[Measurement]:
    """Seconds and ratios, of one configuration and of several."""
    share = as_worker("jax", arithmetic)
    yield Measurement("the backbone", "times the head's arithmetic", share / (1 - share), "")
    rows, epochs = (256, 2) if smallest else (ROWS, EPOCHS)
    for members, apart in ((1, False), (MEMBERS, False), (MEMBERS, True)):
        who = f"{members} configuration" + "s" * (members > 1) + ", own seeds" * apart
        ways = HOW if members == 1 else HOW[:2]
        seconds = {
            how: as_worker("jax", trained, how, rows, epochs, members, apart) for how in ways
        }
        for how, value in seconds.items():
            yield Measurement(who, how, value, "s")
        for how in ways[1:]:
            yield Measurement(who, f"{how} / once", seconds[how] / seconds[HOW[0]], "")


def build_model(config: dict[str, Any]) -> Any:
    """A backbone of weights that are the same in every model, and a head of one hidden layer."""
    import keras

    def frozen(units: int, seed: int) -> Any:
        weights = keras.initializers.HeNormal(seed=seed)
        return keras.layers.Dense(units, "relu", kernel_initializer=weights, trainable=False)

    layers = [
        keras.Input((COLUMNS,)),
        frozen(WIDTH, 1),
        frozen(FEATURES, 2),
        keras.layers.Dense(HEAD, "relu"),
        keras.layers.Dense(1, "sigmoid"),
    ]
    model = keras.Sequential(layers)
    adam = keras.optimizers.Adam(config["learning_rate"])
    model.compile(adam, "binary_crossentropy", metrics=["accuracy"])
    return model


def problem_of(rows: int, epochs: int, members: int) -> Any:
    """The problem, and its data."""
    from tuning.problem import functions
    from tuning.problem.problem import load_data

    def load() -> dict[str, Any]:
        x = np.random.default_rng(0).normal(size=(rows + rows // 4, COLUMNS)).astype("float32")
        y = (x.sum(1) > 0).astype("float32")
        return {"train": (x[:rows], y[:rows]), "validation": (x[rows:], y[rows:])}

    rates = np.geomspace(1e-4, 1e-2, members).tolist()
    space = {"learning_rate": rates, "batch_size": [BATCH], "epochs": [epochs]}
    problem = functions.problem_of(build_model, space, load)
    return problem, load_data(problem)


def arithmetic() -> float:
    """The backbone's share of a training step's arithmetic."""
    from tuning.engines.vectorized import try_out

    problem, data = problem_of(256, 1, 1)
    return try_out(problem, data, problem.grid[0], 0)[1][1]


def trained(how: str, rows: int, epochs: int, members: int, apart: bool) -> float:
    """CPU seconds of a second training of the configurations."""
    from tuning.engines import frozen
    from tuning.engines.fit import fit_on
    from tuning.engines.kept import forget_rows
    from tuning.engines.vectorized import train_pack
    from tuning.packing.axes import UNPACKED
    from tuning.trial import Trial

    problem, data = problem_of(rows, epochs, members)
    trials = [Trial(i, problem.grid[i], i * apart, epochs, i) for i in range(members)]
    if how != HOW[0]:
        frozen.LEAST_SHARE = 2.0
    for _ in range(2):
        forget_rows()
        started = time.process_time()
        if how == HOW[2]:
            for trial in trials:
                fit_on(problem, data, trial, "")
        else:
            list(train_pack(problem, data, trials, UNPACKED))
        seconds = time.process_time() - started
    return seconds
