"""Weights of the training rows: by class, as `class_weight` in Keras' `fit`, or row by row."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.errors import TuningError, quoted
from tuning.problem.data import Arrays, Data, checked_weights, map_arrays, n_samples
from tuning.problem.folds import rows_of

if TYPE_CHECKING:
    from tuning.problem.problem import Problem

CLASS_WEIGHT, SAMPLE_WEIGHT = "class_weight", "sample_weight"
BALANCED = "balanced"
CLASS_WEIGHTS = "None, 'balanced' or a dict of classes and their weights"
SAMPLE_WEIGHTS = "None, 'balanced' or a function of (x, y)"


def row_weights(y: Any, class_weight: Any) -> np.ndarray:
    """The weight of each row by its class, as Keras' `fit` makes them of `class_weight`.

    The class of a row is its target rounded, or the column with the largest number where there are
    several columns. A class that is not in the dict weighs 1.

    Parameters
    ----------
    y : array, shape (rows,) or (rows, columns)
        The target.
    class_weight : dict of int to float, "balanced" or None
        With ``"balanced"`` a class weighs rows / (classes · its rows), as in scikit-learn; with
        None every row weighs 1.

    Returns
    -------
    array of float, shape (rows,)

    Raises
    ------
    TuningError
        If the target has no classes, or `class_weight` is none of these.
    """
    classes = _classes(y, "the target")
    return _looked_up(classes, _by_class(class_weight, classes, CLASS_WEIGHT))


def training_weights(
    problem: Problem, data: Data, configuration: Mapping[str, Any], fold: int | None = None
) -> Arrays | None:
    """The weights of the training rows that a configuration asks for; None for no weights.

    Parameters
    ----------
    problem : Problem
    data : dict
        Checked.
    configuration : dict
    fold : int, optional
        The fold that validates: the others' rows alone are counted, and get weights.

    Returns
    -------
    array or structure of arrays, shape (rows, …)
        One number a row, or what the function ``sample_weight`` returned.

    Raises
    ------
    TuningError
        If a function of the problem returns no weights.
    """
    if not problem.weighs:
        return None
    values = problem.space.values(configuration)
    x, y = data["train"][:2]
    rows = rows_of(data, "train", fold)
    where = f"problem {problem.name!r}:"
    if _weighs_rows(problem):
        given = values.get(SAMPLE_WEIGHT, problem.sample_weight)
        if given is None:
            return None
        if callable(given):
            return _of_function(given, x, y, rows, where)
    else:
        given = values.get(CLASS_WEIGHT, problem.class_weight)
        given = given(values) if callable(given) else given
    classes = _classes(y, f"{where} the target")
    counted = classes if rows is None else classes[rows]
    return _looked_up(classes, _by_class(given, counted, f"{where} {CLASS_WEIGHT}"))


def weighing_fault(problem: Problem) -> str:
    """The fault of a problem's `class_weight` and `sample_weight`; empty if there is none."""
    space = problem.space
    axes = {name: space.parameters[name] for name in WEIGHINGS if name in space.parameters}
    given = {name for name in WEIGHINGS if getattr(problem, name) is not None}
    if twice := sorted(given & set(axes)):
        return f"{twice[0]} is an axis of the space and given beside it: give one of them"
    if len(given | set(axes)) > 1:
        return "class_weight and sample_weight cannot be given together, as in Keras' fit"
    for name in given:
        value = getattr(problem, name)
        if name == CLASS_WEIGHT and callable(value):
            continue
        if fault := WEIGHINGS[name](value, name):
            return fault
    for name, axis in axes.items():
        named = space.named_values.get(name, {})
        if axis.values is None:
            return f"axis {name!r} takes {TAKEN[name]}, not {axis.range_text()}"
        for label in axis.values:
            if fault := WEIGHINGS[name](named.get(label, label), f"axis {name!r}"):
                return fault
    return ""


def check_weighed(problem: Problem, data: Data, where: str) -> None:
    """Refuse data whose rows cannot be weighed as the problem says.

    Raises
    ------
    TuningError
        If the training rows have weights already, or a target that has no classes.
    """
    if not problem.weighs:
        return
    name = SAMPLE_WEIGHT if _weighs_rows(problem) else CLASS_WEIGHT
    if len(data["train"]) > 2:
        raise TuningError(
            f"{where}: train has sample weights already, so leave out {name} (as in Keras' fit)"
        )
    axis = problem.space.parameters.get(name)
    strategies = [problem.sample_weight] if axis is None else axis.values or ()
    if name == CLASS_WEIGHT or BALANCED in strategies:
        _classes(data["train"][1], f"{where}: train y")


def _weighs_rows(problem: Problem) -> bool:
    """Whether weights are by row, not by class."""
    return problem.sample_weight is not None or SAMPLE_WEIGHT in problem.space.parameters


def _classes(y: Any, where: str) -> np.ndarray:
    """The class of each row, as Keras finds it."""
    if isinstance(y, dict | list | tuple) and np.ndim(next(iter(_items(y)), 0)) > 0:
        raise TuningError(f"{where} has several arrays: classes are weighed of a single output")
    target = np.asarray(y)
    if target.ndim not in (1, 2):
        raise TuningError(
            f"{where} has the shape {target.shape}: classes are weighed of one class a row"
        )
    if target.ndim == 2:
        target = target[:, 0] if target.shape[1] == 1 else target.argmax(axis=1)
    return np.round(target).astype(np.int32)


def _items(y: Any) -> Any:
    return y.values() if isinstance(y, dict) else y


def _by_class(class_weight: Any, classes: np.ndarray, where: str) -> dict[int, float]:
    """The weight of each class that has one; `classes` are those of the rows that train."""
    if fault := class_weight_fault(class_weight, where):
        raise TuningError(fault)
    if class_weight is None:
        return {}
    if isinstance(class_weight, Mapping):
        return plain(class_weight)  # type: ignore[no-any-return]
    found, counts = np.unique(classes, return_counts=True)
    weights = len(classes) / (len(found) * counts)
    return dict(zip(found.tolist(), weights.tolist(), strict=True))


def plain(value: Any) -> Any:
    """Weights of classes with Python's own numbers; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    return {int(each): float(weight) for each, weight in value.items()}


def _looked_up(classes: np.ndarray, weights: Mapping[int, float]) -> np.ndarray:
    found, places = np.unique(classes, return_inverse=True)
    return np.array([weights.get(each, 1.0) for each in found.tolist()])[places]


def _of_function(
    function: Any, x: Arrays, y: Arrays, rows: np.ndarray | None, where: str
) -> Arrays:
    """The weights that a function gives to the rows that train, among 1 for all others."""
    n = n_samples(y)
    if rows is not None:
        x, y = map_arrays(lambda array: array[rows], (x, y))
    weights = checked_weights(y, function(x, y), where)

    def among_all(own: np.ndarray) -> np.ndarray:
        whole = np.ones((n, *own.shape[1:]), own.dtype)
        whole[rows] = own
        return whole

    return weights if rows is None else map_arrays(among_all, weights)


def class_weight_fault(value: Any, where: str) -> str:
    """The fault of a value of `class_weight`, in a few words; empty if there is none."""
    if value is None or (isinstance(value, str) and value == BALANCED):
        return ""
    if not isinstance(value, Mapping):
        return f"{where} takes {CLASS_WEIGHTS}, not {quoted(value)}"
    for own, weight in value.items():
        if not isinstance(own, numbers.Integral):
            return f"{where}: its classes are whole numbers, not {quoted(own)}"
        if not isinstance(weight, numbers.Real) or not math.isfinite(weight):
            return f"{where}: the weight of class {own} is a finite number, not {quoted(weight)}"
    return ""


def _sample_weight_fault(value: Any, where: str) -> str:
    if value is None or callable(value) or (isinstance(value, str) and value == BALANCED):
        return ""
    return (
        f"{where} takes {SAMPLE_WEIGHTS}, not {quoted(value)}: weights in an array stand behind y "
        "in a split of the data"
    )


WEIGHINGS = {CLASS_WEIGHT: class_weight_fault, SAMPLE_WEIGHT: _sample_weight_fault}
TAKEN = {CLASS_WEIGHT: CLASS_WEIGHTS, SAMPLE_WEIGHT: SAMPLE_WEIGHTS}
