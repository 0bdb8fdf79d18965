"""The mean score at each value of each axis of the grid."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuning.analysis.run_view import scores_of
from tuning.space.grid import Grid


def with_result(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The trials with a finite score, each configuration once."""
    finite: pd.DataFrame = results[np.isfinite(scores_of(results, metric))]
    return finite.drop_duplicates("index")


def axis_positions(indices: pd.Series[int], grid: Grid) -> pd.DataFrame:
    """The value of each axis that configurations have, from their grid index.

    Returns
    -------
    DataFrame
        A column an axis, a row a configuration: the value's place among the axis's values, from 0.
    """
    return pd.DataFrame({axis: grid.position(axis, indices) for axis in grid.axes})


def axis_means(results: pd.DataFrame, metric: str, grid: Grid) -> pd.DataFrame:
    """Average the metric at each value of each axis, over the trials that have a result.

    Returns
    -------
    DataFrame
        Columns ``axis``, ``position`` (of the value, from 0), ``value``, ``trials``, ``mean`` and
        ``std`` (of the sample), in the order of the grid; only the values that were trained.
    """
    ok = with_result(results, metric)
    positions = axis_positions(ok["index"], grid)
    rows = []
    for axis, values in grid.axes.items():
        for key, group in ok[metric].groupby(positions[axis]):
            place = int(str(key))
            rows.append((axis, place, values[place], len(group), group.mean(), group.std()))
    return pd.DataFrame(rows, columns=["axis", "position", "value", "trials", "mean", "std"])
