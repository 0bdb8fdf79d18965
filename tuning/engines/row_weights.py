"""Row weights in a traced step, which looks each member's own up by the numbers of the rows.

So the weights are an array in the trace, and members of other weights share a program.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tuning.engines.batches import in_floatx
from tuning.problem.data import Arrays, Data, add_arrays, map_arrays, n_samples
from tuning.problem.problem import Problem
from tuning.problem.weighing import training_weights

Weigh: TypeAlias = Callable[[tuple[Any, ...]], tuple[Any, ...]]
"""Of a batch (x, y, numbers of its rows): as the model takes it, with weights if there are any."""


def weighted(
    problem: Problem, data: Data, configuration: Mapping[str, Any], fold: int | None
) -> Data:
    """The data with a configuration's weights of the training rows, as Keras' `fit` takes them."""
    weights = training_weights(problem, data, configuration, fold)
    if weights is None:
        return data
    return data | {"train": (*data["train"][:2], weights)}


def numbered(problem: Problem, data: Data) -> Data:
    """The data with the numbers of the training rows behind them, if the problem weighs rows."""
    if not problem.weighs:
        return data
    numbers = _numbers(n_samples(data["train"]))
    return data | {"train": (*data["train"][:2], numbers)}


@functools.lru_cache(maxsize=4)
def _numbers(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int32)


def weigh_of(
    problem: Problem, data: Data, configuration: Mapping[str, Any], fold: int | None
) -> Weigh | None:
    """What makes a batch of numbered rows one with a configuration's weights.

    None where the problem weighs no rows.

    Raises
    ------
    TuningError
        If a function of the problem returns no weights.
    """
    if not problem.weighs:
        return None
    weights = training_weights(problem, data, configuration, fold)
    own = None if weights is None else map_arrays(in_floatx, weights)

    def weigh(batch: tuple[Any, ...]) -> tuple[Any, ...]:
        x, y, rows = batch
        if own is None:
            return x, y
        return x, y, map_arrays(lambda array: row_weights(array, rows), own)

    return weigh


def row_weights(weights: np.ndarray, rows: Any) -> Any:
    """The weights of some rows; looks at models name this function, as what reads the weights."""
    import jax.numpy as jnp

    return jnp.asarray(weights).at[rows].get(mode="promise_in_bounds")


def digest_of(weights: Arrays | None) -> str:
    """SHA-256 of weights; empty without."""
    if weights is None:
        return ""
    digest = hashlib.sha256()
    add_arrays(digest, weights)
    return digest.hexdigest()
