"""A sweep stopped early: what it has found after n trials, in grid order or evenly spaced."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuning.analysis.compare import best_so_far
from tuning.analysis.grid_scores import Landscape
from tuning.problem.problem import Mode

POINTS = 240  # of a logarithmic axis


def stopped_early(land: Landscape) -> pd.DataFrame:
    """The incumbent of sweeps of a whole grid, by how many trials they were given.

    In grid order a longer sweep goes on from a shorter one; n evenly spaced trials are others for
    every n (`tuning.SweepSampler`).

    Parameters
    ----------
    land : Landscape
        Of the whole grid.

    Returns
    -------
    DataFrame
        Columns ``trials`` (n), and the metric of the best of them in ``grid`` and ``spaced`` order;
        NaN where none of them has a result.
    """
    size = land.grid.size
    n = log_spaced(size)
    spaced = []
    for trials in n:
        asked = np.arange(trials) * size // trials  # as SweepSampler spaces them
        spaced.append(incumbents(land.values[asked], land.mode)[-1])
    in_order = incumbents(land.values, land.mode)[n - 1]
    return pd.DataFrame({"trials": n, "grid": in_order, "spaced": spaced})


def incumbents(values: np.ndarray, mode: Mode) -> np.ndarray:
    """The best of the first n values, for each n; NaN as long as all are."""
    best = best_so_far(values, mode)
    return np.where(best < 0, np.nan, values[best])


def log_spaced(size: int) -> np.ndarray:
    """Distinct integers from 1 to `size`, evenly spaced in their logarithm where there are many."""
    return np.unique(np.round(np.geomspace(1, size, POINTS)).astype(int))
