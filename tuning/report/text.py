"""Numbers and names as sentences, tables and figures show them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuning.space.grid import Grid
from tuning.space.space import Space

if TYPE_CHECKING:
    import pandas as pd

MISSING = "–"


def counted(n: Any, noun: str) -> str:
    """A number of things: ``1 trial``, ``1,440 trials``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def size_text(space: Space) -> str:
    """The size of a space: ``43,200 configurations``, or ``any number of configurations``."""
    if space.size == math.inf:
        return "any number of configurations"
    return f"{space.size:,} configurations"


def named(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """A row's configuration in a sentence: by its place in the grid, or by its trial."""
    if _is_missing(row["index"]):
        return f"the configuration of trial {row['trial']:,}"
    return f"configuration {row['index']:,}"


def number_text(value: Any) -> str:
    """A score, with four decimals or three significant digits."""
    if _is_missing(value):
        return MISSING
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 1000 else f"{value:.3g}"


def value_text(value: Any) -> str:
    """A value of an axis of the grid."""
    return "None" if _is_missing(value) else str(value)


def axis_text(space: Space, value: Any) -> str:
    """A value of a configuration in a table; nothing where the hyperparameter does not exist."""
    return "" if _is_missing(value) and not isinstance(space, Grid) else value_text(value)


def percent(share: float) -> str:
    """A share in percent, never rounded to none or all of it."""
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{share:.0%}"


def _is_missing(value: Any) -> bool:
    import pandas as pd  # a command that begins to search needs none of it yet

    return bool(pd.isna(value))
