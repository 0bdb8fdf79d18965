"""How far trials move that were trained again, as `tuning.api.steadiness` wrote it down."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tuning.errors import TuningError

AGAIN = "again.csv"


def trained_again(path: Path, metric: str) -> pd.DataFrame | None:
    """What of a run was trained again, the best first; None if nothing was.

    Raises
    ------
    TuningError
        If the file is damaged.
    """
    file = path / AGAIN
    if not file.exists():
        return None
    columns = {"index": int, metric: float, "again": float, "moved": float}
    try:
        found: pd.DataFrame = pd.read_csv(file).rename(columns={"trial": "index"}).astype(columns)
    except (ValueError, KeyError) as error:
        raise TuningError(f"{file} is damaged: write it anew with --again") from error
    return found


def steadiness(found: pd.DataFrame, metric: str) -> str:
    """How far trials moved, in a sentence."""
    what = f"{len(found):,} trials were trained again from weights moved by a rounding error"
    moved = found.dropna(subset="moved").sort_values("moved")
    if moved.empty:
        return f"{what}: none came to a result."
    if not moved["moved"].any():
        return f"{what}: none moved in {metric}."
    best, worst = found["moved"].head(len(found) - len(found) // 2), moved.iloc[-1]
    return (
        f"{what}: in {metric} the best {len(best):,} moved by {best.max():.2g} at most, and the "
        f"most unsteady, configuration {worst['index']:,.0f}, by {worst['moved']:.2g}."
    )
