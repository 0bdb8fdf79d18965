"""The best that a sweep has found after n trials, in grid order or evenly spaced."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuning.analysis.compare import best_so_far
from tuning.analysis.grid_scores import GridScores
from tuning.problem.problem import Mode

POINTS = 240  # numbers of trials, evenly spaced in their logarithm


def stopped_early(scores: GridScores) -> pd.DataFrame:
    """Give the best of a sweep of a whole grid that is stopped after n trials, for many n.

    In grid order a longer sweep continues a shorter one; the n evenly spaced trials, those of
    `tuning.SweepSampler`, are others for every n.

    Parameters
    ----------
    scores : GridScores
        Of the whole grid.

    Returns
    -------
    DataFrame
        Columns ``trials`` (n), and the metric of the best of them in ``grid`` and ``spaced`` order;
        NaN where none of them has a result.
    """
    size = scores.grid.size
    n = log_spaced(size)
    spaced = []
    for trials in n:
        places = np.arange(trials) * size // trials
        spaced.append(incumbents(scores.values[places], scores.mode)[-1])
    in_order = incumbents(scores.values, scores.mode)[n - 1]
    return pd.DataFrame({"trials": n, "grid": in_order, "spaced": spaced})


def incumbents(values: np.ndarray, mode: Mode) -> np.ndarray:
    """The best of the first n values, for each n; NaN as long as all are."""
    best = best_so_far(values, mode)
    return np.where(best < 0, np.nan, values[best])


def log_spaced(size: int) -> np.ndarray:
    """Distinct integers from 1 to `size`, evenly spaced in their logarithm where there are many."""
    return np.unique(np.round(np.geomspace(1, size, POINTS)).astype(int))
