"""The mean score at each value of each hyperparameter; of a range, in parts of it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.run_view import scores_of
from tuning.runs.table import points_of
from tuning.space.grid import Grid
from tuning.space.labels import cell_text
from tuning.space.parameters import Float, Int, Parameter
from tuning.space.space import Space

PARTS = 6  # of a range, each as long on its scale


def with_result(results: pd.DataFrame, metric: str, space: Space) -> pd.DataFrame:
    """The trials with a finite score, each configuration once."""
    finite: pd.DataFrame = results[np.isfinite(scores_of(results, metric))]
    once: pd.DataFrame = finite[~points_of(finite, space).duplicated()]
    return once


def axis_positions(rows: pd.DataFrame, space: Space) -> pd.DataFrame:
    """The place of each configuration's values among those of `axis_values`.

    Parameters
    ----------
    rows : DataFrame
        Of a run's trials; of a grid with the grid index as column ``index`` or as index.
    space : Space

    Returns
    -------
    DataFrame
        A column a hyperparameter, a row a configuration: from 0; NaN where it does not exist.
    """
    if isinstance(space, Grid):
        index = rows["index"] if "index" in rows else rows.index.to_series()
        return pd.DataFrame({axis: space.position(axis, index) for axis in space.axes})
    return pd.DataFrame(
        {name: _places(parameter, rows[name]) for name, parameter in space.parameters.items()}
    )


def axis_values(space: Space, axis: str) -> list[Any]:
    """The values of a hyperparameter, or labels of them, or the parts of its range as text."""
    parameter = space.parameters[axis]
    if not _is_in_parts(parameter):
        return list(parameter.values or ())
    assert isinstance(parameter, Float | Int)
    edges = [parameter.at(i / PARTS) for i in range(PARTS + 1)]
    return [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]


def _is_in_parts(parameter: Parameter) -> bool:
    many = parameter.values is None or len(parameter.values) > 2 * PARTS
    return isinstance(parameter, Float | Int) and many


def _places(parameter: Parameter, cells: pd.Series[Any]) -> pd.Series[float]:
    if _is_in_parts(parameter):
        found = [
            np.nan if pd.isna(cell) else min(int(PARTS * parameter.position(cell)), PARTS - 1)
            for cell in cells
        ]
    else:
        place = {cell_text(label): i for i, label in enumerate(parameter.values or ())}
        found = [np.nan if pd.isna(cell) else place[cell_text(cell)] for cell in cells]
    return pd.Series(found, cells.index, dtype=float)


def axis_means(results: pd.DataFrame, metric: str, space: Space) -> pd.DataFrame:
    """Average the metric at each value of each axis, over the trials that have a result.

    Returns
    -------
    DataFrame
        Columns ``axis``, ``position`` (of the value, from 0), ``value``, ``trials``, ``mean`` and
        ``std`` (of the sample), in the order of the space; only the values that were trained.
    """
    ok = with_result(results, metric, space)
    positions = axis_positions(ok, space)
    rows = []
    for axis in space.parameters:
        values = axis_values(space, axis)
        for key, group in ok[metric].groupby(positions[axis]):
            place = int(float(str(key)))
            rows.append((axis, place, values[place], len(group), group.mean(), group.std()))
    return pd.DataFrame(rows, columns=["axis", "position", "value", "trials", "mean", "std"])
