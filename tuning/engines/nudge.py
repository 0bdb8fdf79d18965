"""How far rounding can move a training: the same one from weights moved by the least there is.

Floating-point sums round, and another version of a library, another processor or another pack adds
in another order. Most trainings end where they would anyway; some, such as those with a learning
rate at the edge of what is stable, enlarge any difference step by step. Moving every initial
weight to one of its neighbours among floating-point numbers starts such a difference at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def nudged(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The weights, each number moved up or down to the next of its type; integers as they are."""
    random = np.random.default_rng(0)
    return [_nudged(np.asarray(each), random) for each in weights]


def _nudged(weights: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if weights.dtype.kind != "f":
        return weights
    towards = np.where(random.random(weights.shape) < 0.5, -np.inf, np.inf)
    moved: np.ndarray = np.nextafter(weights, towards.astype(weights.dtype))
    return np.where(weights == 0, weights, moved)
