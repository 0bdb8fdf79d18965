"""What do five folds cost, beside one?

Seconds on scikit-learn's digits of configurations of one program, trained on one fold and on five,
on one CPU: in packs by a worker that starts with nothing compiled, its first look at each model
included; and one of them by scikit-learn's `cross_val_score` over scikeras, with one split and with
five, after a training that has imported what it needs.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.measuring import Measurement, apart, as_worker

MINUTES, ROUNDS = 2, 3
FOLDS, MEMBERS, EPOCHS, UNITS = 5, 8, 10, 128
RATES = np.geomspace(3e-4, 1e-2, MEMBERS).tolist()


def measure(smallest: bool) -> Iterator[Measurement]:
    """Seconds with one fold and with five, and their ratio."""
    members = 1 if smallest else MEMBERS
    seconds = {n: as_worker("jax", in_packs, members, n) for n in (1, FOLDS)}
    yield from compared(f"packs, {members} configurations", seconds)
    yield from compared("packs, 1 configuration", {n: as_worker("jax", in_packs, 1, n)
                                                   for n in (1, FOLDS)})  # fmt: skip
    if importlib.util.find_spec("scikeras"):
        epochs = 1 if smallest else EPOCHS
        peers = {n: apart(by_scikit_learn, epochs, n) for n in (1, FOLDS)}
        yield from compared("cross_val_score, 1 configuration", peers)


def compared(who: str, seconds: dict[int, float]) -> Iterator[Measurement]:
    """One fold, all folds, and the ratio of both."""
    for n, value in seconds.items():
        yield Measurement(who, f"{n} fold" + "s" * (n > 1), value, "s")
    yield Measurement(who, "ratio", seconds[FOLDS] / seconds[1], "")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The rows of the digits, from 0 to 1, and their classes."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x / 16).astype("float32"), y


def network(units: int, rate: float) -> Any:
    """A dense network of one layer."""
    import keras

    hidden = keras.layers.Dense(units, activation="relu")
    model = keras.Sequential([keras.Input((64,)), hidden, keras.layers.Dense(10, "softmax")])
    adam = keras.optimizers.Adam(rate)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_model(config: dict[str, Any]) -> Any:
    """The network of a configuration."""
    return network(UNITS, config["learning_rate"])


def in_packs(members: int, folds: int) -> float:
    """Wall seconds of a worker's pack, once it knows how configurations share programs."""
    from tuning.execution.worker import Job, look, train
    from tuning.problem.functions import problem_of
    from tuning.problem.problem import load_data
    from tuning.samplers.protocol import trial_at
    from tuning.samplers.repeated import Copies

    space = {"learning_rate": RATES, "epochs": [EPOCHS]}
    problem = problem_of(build_model, space, digits, folds=FOLDS)
    data, job = load_data(problem), Job(0, "jax")
    packing = look(problem, data, job, True).packing
    trials = [
        each
        for i in range(members)
        for each in Copies(0, FOLDS).of(trial_at(problem.grid, i, i, 0))[:folds]
    ]
    started = time.perf_counter()
    for _ in train(problem, data, trials, Job(0, "jax", packing=packing)):
        pass
    return time.perf_counter() - started


def by_scikit_learn(epochs: int, folds: int) -> float:
    """Wall seconds of `cross_val_score` over scikeras on TensorFlow, on one thread."""
    import os

    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = "1"
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    from scikeras.wrappers import KerasClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    x, y = digits()
    model = KerasClassifier(
        network, units=UNITS, rate=RATES[0], epochs=epochs, batch_size=32, verbose=0
    )
    model.set_params(epochs=1).fit(x[:64], y[:64])
    model.set_params(epochs=epochs)
    splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y))[:folds]
    started = time.perf_counter()
    cross_val_score(model, x, y, cv=splits, scoring="accuracy")
    return time.perf_counter() - started
