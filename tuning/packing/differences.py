"""Differences between models, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuning.compatibility.jax import where_written
from tuning.packing.sameness import Steps, numbers_that_differ, variables_that_differ
from tuning.packing.trace import Body, Number, Trace

MOST = 3  # things named; the others are counted


def structural_difference(one: Steps, other: Steps) -> str:
    """The first variable, or else the first operation, in which two models' programs differ."""
    if one.sizes[:2] != other.sizes[:2]:
        return "layers come and go"
    shapes, others = ([array.shape for array in steps.state] for steps in (one, other))
    if one.sizes[2] != other.sizes[2]:
        return f"the optimizer: {_optimizer(one)} or {_optimizer(other)}"
    for path, shape, another in zip(one.paths, shapes, others, strict=False):
        if shape != another:
            return f"{_short(path)}: {_by(shape)} or {_by(another)}"
    if one.scores != other.scores:
        return f"the metrics: {', '.join(one.scores)} or {', '.join(other.scores)}"
    for mine, theirs in zip(one.traces, other.traces, strict=True):
        if mine.key != theirs.key:
            return _operation(mine, theirs)
    return "what the model does"


def lifted_difference(members: Sequence[Steps]) -> str:
    """The numbers in which models of one program differ, in words; empty if they are equal."""
    varying = zip(members[0].paths, variables_that_differ(members), strict=True)
    named = dict.fromkeys(_short(path) for path, differs in varying if differs)
    written: list[tuple[str, str]] = []
    for traced, places in zip(members[0].traces, numbers_that_differ(members), strict=True):
        written += _readers(traced.body, set(places))
    functions = [function for function, _ in written if function]
    named |= dict.fromkeys(f"a number in {word}" for word in functions or [w for _, w in written])
    words = list(named)
    more = [f"{len(words) - MOST} more"] if len(words) > MOST else []
    return ", ".join([*words[:MOST], *more])


def _readers(body: Body, places: set[int]) -> list[tuple[str, str]]:
    """The operations that read these numbers: the functions that wrote them, and their names."""
    found = []
    for operation in body.operations:
        if any(isinstance(atom, Number) and atom.index in places for atom in operation.inputs):
            found.append((where_written(operation.source), operation.name))
        for inner in operation.bodies:
            found += _readers(inner, places)
    return found


def _optimizer(steps: Steps) -> str:
    """The optimizer as its variables are called."""
    trainable, non_trainable, optimizer, _ = steps.sizes
    start = trainable + non_trainable
    roots = [path.split("/")[0] for path in steps.paths[start : start + optimizer]]
    return next((root for root in roots if root != "iterations"), "none")


def _operation(one: Trace, other: Trace) -> str:
    """The first operation in which two traces differ."""
    pairs = zip(one.body.operations, other.body.operations, strict=False)
    for mine, theirs in pairs:
        if mine.name != theirs.name:
            return f"{_written(mine)} or {_written(theirs)}"
    for mine, theirs in pairs:
        if str(mine.params) != str(theirs.params):
            return f"another {_written(mine)}"
    return "its operations"


def _written(operation: Any) -> str:
    """An operation by the function that wrote it."""
    function = where_written(operation.source)
    return f"{operation.name} in {function}" if function else operation.name


def _short(path: str) -> str:
    """The last two words of a variable's path."""
    return "/".join(path.split("/")[-2:])


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"
