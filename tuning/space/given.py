"""The space that a search is given: a grid, a space, or a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuning.errors import TuningError
from tuning.space.grid import Grid
from tuning.space.parameters import Choice, Fixed
from tuning.space.space import Space, is_list, parameter_of


def space_of(given: Space | Mapping[str, Any]) -> Space:
    """The space that is meant: a dict of nothing but lists, choices and constants is a grid.

    Raises
    ------
    TuningError
        As `Grid` and `Space`.
    """
    if isinstance(given, Space):
        return given
    if not isinstance(given, Mapping):
        return Grid(given)  # which refuses it
    if all(map(is_list, given.values())):
        return Grid(given)
    parameters = {name: parameter_of(name, value) for name, value in given.items()}
    axes = {
        name: parameter.values
        for name, parameter in parameters.items()
        if isinstance(parameter, Choice | Fixed) and not parameter.conditions
    }
    return Grid(axes) if len(axes) == len(parameters) else Space(parameters)


def as_grid(space: Space, what: str = "this") -> Grid:
    """The space as the grid that it is.

    Parameters
    ----------
    space : Space
    what : str
        What needs it, as the beginning of a sentence.

    Raises
    ------
    TuningError
        If it is none.
    """
    if not isinstance(space, Grid):
        raise TuningError(
            f"{what} needs a grid, and the space has ranges or conditions: give each "
            "hyperparameter a list of values"
        )
    return space
