"""Cross-validation: which rows each fold trains, and which it validates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tuning.errors import TuningError, first_line, quoted
from tuning.problem.data import SPLITS, Arrays, Data, map_arrays, n_samples, named_arrays

FOLDS = "folds"

Fold: TypeAlias = tuple[np.ndarray, np.ndarray]
"""The numbers of the rows that train, and of those that validate."""


def folds_of(data: Mapping[str, Any]) -> tuple[Fold, ...]:
    """The folds that some data is cut into; none where its splits are its own."""
    return tuple(data.get(FOLDS, ()))


def without_folds(data: Data) -> Data:
    """All rows as both training and validation data, for a model that is to learn from all."""
    return {name: parts for name, parts in data.items() if name != FOLDS}


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


def in_folds(data: Data, how: Any, groups: np.ndarray | None = None, *, where: str) -> Data:
    """The data cut into folds, each of which validates rows that the others train.

    The rows are those of training, and of validation behind them if there are any; test data stays
    as it is. There is one copy of them. A single fold is the same as splits, and becomes these.

    Parameters
    ----------
    data : dict
        Checked.
    how : int, splitter or iterable of (array of int, array of int)
        The number of folds: rows are shuffled, always in the same way, and each fold has its share
        of every class if the target has classes, each with a row for every fold. Or a splitter of
        scikit-learn, such as `sklearn.model_selection.TimeSeriesSplit`. Or the rows themselves.
    groups : array, shape (rows,), optional
        Rows of one group are never in training and in validation of one fold.
    where : str
        What messages begin with.

    Raises
    ------
    TuningError
        If the rows cannot be cut so, or a fold has none to train or to validate.
    """
    whole = _joined(data, where)
    n = n_samples(whole)
    if groups is not None and len(groups) != n:
        raise TuningError(f"{where}: groups has {len(groups):,} rows, and the data {n:,}")
    try:
        pairs = [tuple(map(np.asarray, pair)) for pair in _pairs(whole, how, groups)]
    except TuningError:
        raise
    except Exception as error:  # of the splitter, or what is none
        raise TuningError(f"{where} cannot be cut into folds: {first_line(error)}") from error
    folds = tuple(_checked(i, pair, n, where) for i, pair in enumerate(pairs))
    if not folds:
        raise TuningError(f"{where} is cut into no folds")
    cut: dict[str, Any] = {"train": whole, "validation": whole, FOLDS: folds}
    if len(folds) == 1:
        cut = {split: _rows(whole, own) for split, own in zip(SPLITS, folds[0], strict=False)}
    return cut | {split: data[split] for split in ("test",) if split in data}


def _rows(parts: tuple[Arrays, ...], rows: np.ndarray) -> tuple[Arrays, ...]:
    """Some rows of all arrays."""
    return map_arrays(lambda array: array[rows], parts)  # type: ignore[no-any-return]


def _pairs(parts: tuple[Arrays, ...], how: Any, groups: np.ndarray | None) -> Iterable[Any]:
    """The rows that train and validate, of each fold."""
    n = n_samples(parts)
    classes = _classes(parts[1])
    if isinstance(how, int) and not isinstance(how, bool):
        how = _splitter(how, n, classes, groups)
    if not hasattr(how, "split"):
        return list(how)
    target = np.zeros(n) if classes is None else classes
    return list(how.split(np.zeros((n, 1)), target, groups))


def _splitter(k: int, n: int, classes: np.ndarray | None, groups: np.ndarray | None) -> Any:
    """The splitter of scikit-learn that a number of folds stands for."""
    from sklearn import model_selection

    if not 2 <= k <= n:
        raise TuningError(f"folds takes a number from 2 to the {n:,} rows, not {quoted(k)}")
    if classes is not None and np.unique(classes, return_counts=True)[1].min() < k:
        classes = None
    if groups is not None:
        kind = "GroupKFold" if classes is None else "StratifiedGroupKFold"
    else:
        kind = "KFold" if classes is None else "StratifiedKFold"
    return getattr(model_selection, kind)(k, shuffle=True, random_state=0)


def _classes(target: Arrays) -> np.ndarray | None:
    """The class of each row, where a target is one column of classes, or one column a class."""
    from sklearn.utils.multiclass import type_of_target

    if not isinstance(target, np.ndarray) or target.ndim > 2:
        return None
    flat = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
    if flat.ndim == 2:
        one_hot = np.isin(flat, (0, 1)).all() and (flat.sum(axis=1) == 1).all()
        return flat.argmax(axis=1) if one_hot else None
    return flat if type_of_target(flat) in ("binary", "multiclass") else None


def _joined(data: Data, where: str) -> tuple[Arrays, ...]:
    """All rows of training and validation."""
    train, validation = data["train"], data.get("validation", ())
    if not validation:
        return train
    outlines = [
        [(name, array.shape[1:], array.dtype) for name, array in named_arrays(list(parts))]
        for parts in (train, validation)
    ]
    if outlines[0] != outlines[1]:
        raise TuningError(
            f"{where}: folds are cut from the rows of train and validation together, which are "
            "not of one kind here"
        )
    others = iter([array for _, array in named_arrays(list(validation))])
    joined = map_arrays(lambda array: np.concatenate([array, next(others)]), train)
    return joined  # type: ignore[no-any-return]


def _checked(number: int, pair: Any, n: int, where: str) -> Fold:
    """A fold whose rows are there."""
    if len(pair) != 2:
        raise TuningError(f"{where}: fold {number} is not a pair of rows to train and to validate")
    for rows, does in zip(pair, ("train", "validate"), strict=True):
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) == 0:
            raise TuningError(f"{where}: fold {number} has no numbers of rows to {does}")
        if rows.min() < 0 or rows.max() >= n:
            raise TuningError(f"{where}: fold {number} has a row to {does} that is not in the data")
    train, validation = (np.asarray(rows, np.int64) for rows in pair)
    return train, validation
