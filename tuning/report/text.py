"""Numbers and names as sentences, tables and figures show them."""

from __future__ import annotations

from typing import Any

import pandas as pd

MISSING = "–"


def counted(n: Any, noun: str) -> str:
    """A number of things: ``1 trial``, ``1,440 trials``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def number_text(value: Any) -> str:
    """A score, with four decimals or three significant digits."""
    if pd.isna(value):
        return MISSING
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 1000 else f"{value:.3g}"


def value_text(value: Any) -> str:
    """A value of an axis of the grid."""
    return "None" if pd.isna(value) else str(value)


def percent(share: float) -> str:
    """A share in percent, never rounded to none or all of it."""
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{share:.0%}"
