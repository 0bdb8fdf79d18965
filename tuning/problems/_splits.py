"""How the small built-in problems split their rows."""

from __future__ import annotations

import numpy as np

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def split_rows(x: np.ndarray, y: np.ndarray, *, stratify: bool = False) -> Pairs:
    """A fifth of the rows to test, a fifth of the rest to validate, the same for every seed."""
    from sklearn.model_selection import train_test_split

    x, y = x.astype(np.float32), y.astype(np.float32)
    x, x_test, y, y_test = train_test_split(
        x, y, test_size=0.2, random_state=0, stratify=y if stratify else None
    )
    x, x_validation, y, y_validation = train_test_split(
        x, y, test_size=0.2, random_state=0, stratify=y if stratify else None
    )
    return {"train": (x, y), "validation": (x_validation, y_validation), "test": (x_test, y_test)}
