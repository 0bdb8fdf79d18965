"""Numbers, times and names as sentences, tables and figures show them."""

from __future__ import annotations

from typing import Any

import pandas as pd

STRATEGIES = {"random": "random search"}
MISSING = "–"


def strategy_name(strategy: Any) -> str:
    """A strategy by its name in plain English."""
    return STRATEGIES.get(strategy, str(strategy))


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


def duration(seconds: float) -> str:
    """A length of time: ``48 s``, ``3 min 05 s``, ``2 h 10 min``, ``24 d 0 h``.

    Parameters
    ----------
    seconds : float
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400:,} d {whole % 86400 // 3600} h"
