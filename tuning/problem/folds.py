"""Cross-validation: which rows each fold trains, and which it validates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

FOLDS = "folds"

Fold: TypeAlias = tuple[np.ndarray, np.ndarray]
"""The numbers of the rows that train, and of those that validate."""


def folds_of(data: Mapping[str, Any]) -> tuple[Fold, ...]:
    """The folds that some data is cut into; none where its splits are its own."""
    return tuple(data.get(FOLDS, ()))


def rows_of(data: Mapping[str, Any], split: str, fold: int | None) -> np.ndarray | None:
    """The rows of a split that a fold takes; None for all as they stand.

    Parameters
    ----------
    data : dict
    split : {"train", "validation", "test"}
    fold : int, optional
        Its place among the folds.
    """
    folds = folds_of(data)
    if fold is None or not folds or split not in ("train", "validation"):
        return None
    return folds[fold][split == "validation"]
