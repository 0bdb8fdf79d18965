"""How the small built-in problems split their rows."""

from __future__ import annotations

import math

import numpy as np

Rows = np.ndarray
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


def stratified_rows(labels: np.ndarray, share: float) -> tuple[Rows, Rows]:
    """The rows to train and to validate with, each class in proportion, the same for every seed.

    They are those of scikit-learn's ``train_test_split(..., test_size=share, stratify=labels,
    random_state=0)``, which takes most of a second to import.

    Parameters
    ----------
    labels : (n,) array
    share : float
        Of the rows, those that validate.

    Returns
    -------
    train, validation : (m,) and (n - m,) arrays of int
    """
    draw = np.random.RandomState(0)
    n_validation = math.ceil(share * len(labels))
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    n_train = _in_proportion(counts, len(labels) - n_validation, draw)
    _in_proportion(counts - n_train, n_validation, draw)  # it draws as scikit-learn does
    train: list[int] = []
    validation: list[int] = []
    for own, count, n in zip(range(len(counts)), counts, n_train, strict=True):
        rows = np.flatnonzero(places == own)[draw.permutation(count)]
        train.extend(rows[:n])
        validation.extend(rows[n:])
    return draw.permutation(train), draw.permutation(validation)


def _in_proportion(counts: np.ndarray, n: int, draw: np.random.RandomState) -> np.ndarray:
    """How many of each class there are among n, of so many in all."""
    exact = counts / counts.sum() * n
    found: np.ndarray = np.floor(exact).astype(int)
    left = n - int(found.sum())
    remainder = exact - found
    for value in np.unique(remainder)[::-1]:
        if left > 0:
            own = np.flatnonzero(remainder == value)
            chosen = draw.choice(own, size=min(len(own), left), replace=False)
            found[chosen] += 1
            left -= len(chosen)
    return found
