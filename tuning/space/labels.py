"""Labels: what stands in tables in place of values, which may be anything.

A label is a number, a boolean, a text or None, so that CSV and JSON can carry it, and it can be
hashed. Of such a value it is the value itself; of any other a readable name.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from tuning.errors import TuningError, quoted, shortened

Value: TypeAlias = bool | int | float | str | None

WIDTH = 60  # characters of a label
FORMULA = ("=", "+", "-", "@")
CONTAINERS = (list, tuple, dict, set, frozenset)


def labelled(
    where: str, values: Iterable[Any], *, none: Value = None
) -> tuple[tuple[Value, ...], dict[Value, Any]]:
    """The labels of a hyperparameter's values, and the values that are not their own label.

    Parameters
    ----------
    where : str
        What errors begin with, such as ``axis 'units'``.
    values : iterable
    none : None or str
        The label of None.

    Returns
    -------
    tuple of label
        In order, no two alike as the text of a cell, unless they are their own label and `none` is
        None: a grid tells these apart by the place in the grid.
    dict of label to value

    Raises
    ------
    TuningError
        If there are no values, one is repeated, or a number is not finite. ``1``, ``1.0`` and
        ``True`` count as repeated.
    """
    checked = [python_scalar(value) for value in values]
    if not checked:
        raise TuningError(f"{where} has no values")
    _refuse_repeated(where, checked)
    in_grid = none is None
    labels: list[Value] = [None] * len(checked)
    taken: set[str] = set()
    others: dict[Value, Any] = {}
    own = [i for i, value in enumerate(checked) if _is_own_label(value, in_grid)]
    own.sort(key=lambda i: isinstance(checked[i], str))  # a number goes before its text
    rest = sorted(set(range(len(checked))) - set(own))
    for i in (*own, *rest):
        value = checked[i]
        label = none if value is None else value if i in own else text_of(value)
        if not (in_grid and i in own):
            label = _free(label, value, taken)
        labels[i] = label
        taken.add(cell_text(label))
        if label is not value:
            others[label] = value
    return tuple(labels), others


def _is_own_label(value: Any, in_grid: bool) -> bool:
    return isinstance(value, bool | int | float | str) or (value is None and in_grid)


def _free(label: Value, value: Any, taken: set[str]) -> Value:
    """The label, or another one of the same value whose cell is not taken and not empty."""
    names = [label, *([repr(value)] if isinstance(value, str) else [])]
    free = next((each for each in names if cell_text(each) not in {"", *taken}), None)
    n = 1
    while free is None:
        n += 1
        another = f"{label} ({n})"
        free = None if cell_text(another) in taken else another
    return free


def _refuse_repeated(where: str, values: Sequence[Any]) -> None:
    seen: dict[Value, Value] = {}
    others: list[Any] = []
    for value in values:
        if isinstance(value, float) and not math.isfinite(value):
            raise TuningError(f"{where} has the value {value!r}, which is not finite")
        if _is_own_label(value, True):
            if value in seen:
                other = seen[value]
                equal = (
                    "" if type(other) is type(value) else f" ({other!r} and {value!r} are equal)"
                )
                raise TuningError(f"{where} repeats {quoted(value)}{equal}")
            seen[value] = value
        else:
            if any(same(value, other) for other in others):
                raise TuningError(f"{where} repeats {quoted(value)}")
            others.append(value)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same: of one type, and equal or one object."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    try:
        return bool(one == other)
    except Exception:  # of any type, as objects raise them
        return False


def python_scalar(value: Any) -> Any:
    """A NumPy scalar as Python's own; anything else as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    return value


def text_of(value: Any) -> str:
    """A readable name of any value: of a function or class its own, of another one its `repr`."""
    return shortened(_text(value), WIDTH)


def _text(value: Any) -> str:
    if isinstance(value, dict) and type(value) is dict:
        return f"{{{', '.join(f'{_text(k)}: {_text(v)}' for k, v in value.items())}}}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(_text, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, functools.partial):
        given = [*map(_text, value.args), *(f"{k}={_text(v)}" for k, v in value.keywords.items())]
        return f"{_text(value.func)}({', '.join(given)})"
    if isinstance(name := getattr(value, "__qualname__", None), str):
        return name.rpartition("<locals>.")[2].replace("<lambda>", "lambda")
    text = " ".join(repr(value).split())
    return type(value).__name__ if text.startswith("<") or " at 0x" in text else text


def fresh(value: Any) -> Any:
    """The value, so that no change to it reaches others: a copy of a container."""
    return copy.deepcopy(value) if isinstance(value, CONTAINERS) else value


def to_json(value: Any) -> Any:
    """A value as JSON that `from_json` makes it of again.

    Raises
    ------
    ValueError
        For a value that JSON cannot carry.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is list:
        return [to_json(each) for each in value]
    if type(value) is tuple:
        return {"tuple": [to_json(each) for each in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: to_json(each) for key, each in value.items()}}
    if type(value) is dict:
        return {"items": [[to_json(key), to_json(each)] for key, each in value.items()]}
    raise ValueError(f"JSON has nothing for {quoted(value)}")


def from_json(content: Any) -> Any:
    """The value that `to_json` made the JSON of."""
    if isinstance(content, list):
        return [from_json(each) for each in content]
    if isinstance(content, Mapping):
        if "tuple" in content:
            return tuple(from_json(each) for each in content["tuple"])
        if "items" in content:
            return {from_json(key): from_json(each) for key, each in content["items"]}
        return {key: from_json(each) for key, each in content.get("dict", {}).items()}
    return content


def cell_text(value: Any) -> str:
    """A value as CSV text on one line: nothing for None, escapes for what does not print.

    What a spreadsheet would take for a formula has an apostrophe before it (OWASP, "CSV
    Injection"); a number does not.
    """
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, int | float):
        return text
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    if text.startswith(FORMULA) and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
