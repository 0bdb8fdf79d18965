"""Proof that training leaves rows of a kernel as they began: those that meet zero columns alone.

The gradient of such a row is zero. What an optimizer makes of a zero gradient is followed through
the trace by interval arithmetic: each value has a least and a greatest number it can be, and may
be known to be an input, unchanged. Adam adds 0 to its averages, and takes 0 divided by epsilon from
the row; with a weight decay the row shrinks at every step, and nothing is proven.

A factor that is not known is taken to be finite: where it is not, training has diverged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from tuning.engines.rewrites.zero_columns import Columns
from tuning.packing.trace import Atom, Operation, Slot, Trace

TINY = 1e-30  # a divisor nearer to 0 may have become 0 by rounding


@dataclass(frozen=True)
class Range:
    """All that a value can be in the rows that are left out.

    Attributes
    ----------
    low, high : float
    place : int
        The input of the trace that it equals; -1 for none.
    """

    low: float = -math.inf
    high: float = math.inf
    place: int = -1

    @property
    def is_zero(self) -> bool:
        """Whether it can only be 0."""
        return self.low == self.high == 0


ANY, ZERO = Range(), Range(0.0, 0.0)
Rule: TypeAlias = Callable[[Sequence[Range], Operation], Range]


def range_of(*arrays: np.ndarray) -> Range:
    """The range of all numbers of some arrays."""
    values = [np.asarray(array, np.float64) for array in arrays if np.size(array)]
    if not values or not all(np.isfinite(each).all() for each in values):
        return ANY
    return Range(min(float(each.min()) for each in values), max(float(v.max()) for v in values))


def unmoved(
    traced: Trace,
    columns: Columns,
    initial: Mapping[int, Range],
    numbers: Mapping[int, np.ndarray],
) -> bool:
    """Whether a step gives back every variable's rows of the columns left out as it took them.

    Parameters
    ----------
    traced : Trace
        Of a step whose first outputs are the next values of its first inputs.
    columns : Columns
        Of its input.
    initial : mapping of int to Range
        What each variable that has such rows begins with in them, by its place.
    numbers : mapping of int to array
        Those of the members of a pack, in place of the trace's own.
    """
    body = traced.body
    ranges: dict[int, Range] = {
        body.inputs[place].index: replace(each, place=place) for place, each in initial.items()
    }

    def read(atom: Atom) -> Range:
        if isinstance(atom, Slot):
            return ranges.get(atom.index, ANY)
        return range_of(numbers.get(atom.index, traced.numbers[atom.index]))

    for operation in body.operations:
        made = operation.outputs[0].index
        if operation.name == "dot_general":
            ranges[made] = ZERO if made in columns.axes else ANY  # the gradient
        elif operation.name in RULES:
            ranges[made] = RULES[operation.name]([read(a) for a in operation.inputs], operation)
    return all(
        after.place == place or (after.is_zero and before.is_zero)
        for place, before in initial.items()
        for after in (read(body.outputs[place]),)
    )


def _same(values: Sequence[Range], _: Operation) -> Range:
    return values[0]


def _reshaped(values: Sequence[Range], _: Operation) -> Range:
    return replace(values[0], place=-1)


def _sum(values: Sequence[Range], _: Operation) -> Range:
    one, other = values
    if one.is_zero or other.is_zero:
        return other if one.is_zero and not (other.is_zero and one.place >= 0) else one
    return Range(one.low + other.low, one.high + other.high)


def _negated(values: Sequence[Range], _: Operation) -> Range:
    return Range(-values[0].high, -values[0].low)


def _difference(values: Sequence[Range], operation: Operation) -> Range:
    one, other = values
    return one if other.is_zero else _sum([one, _negated([other], operation)], operation)


def _product(values: Sequence[Range], _: Operation) -> Range:
    one, other = values
    if one.is_zero or other.is_zero:
        return ZERO
    ends = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
    return ANY if any(map(math.isnan, ends)) else Range(min(ends), max(ends))


def _quotient(values: Sequence[Range], operation: Operation) -> Range:
    one, other = values
    if not (other.low > TINY or other.high < -TINY):
        return ANY
    return _product([one, Range(1 / other.high, 1 / other.low)], operation)


def _square(values: Sequence[Range], _: Operation) -> Range:
    (value,) = values
    ends = sorted((value.low * value.low, value.high * value.high))
    return Range(0.0 if value.low <= 0 <= value.high else ends[0], ends[1])


def _power(values: Sequence[Range], operation: Operation) -> Range:
    return _square(values, operation) if operation.params["y"] == 2 else ANY


def _root(values: Sequence[Range], _: Operation) -> Range:
    (value,) = values
    return Range(math.sqrt(value.low), math.sqrt(value.high)) if value.low >= 0 else ANY


def _inverse_root(values: Sequence[Range], operation: Operation) -> Range:
    return _quotient([Range(1.0, 1.0), _root(values, operation)], operation)


def _magnitude(values: Sequence[Range], _: Operation) -> Range:
    (value,) = values
    ends = sorted((abs(value.low), abs(value.high)))
    return Range(0.0 if value.low <= 0 <= value.high else ends[0], ends[1])


def _sign(values: Sequence[Range], _: Operation) -> Range:
    return ZERO if values[0].is_zero else Range(-1.0, 1.0)


def _greater(values: Sequence[Range], _: Operation) -> Range:
    one, other = values
    return Range(max(one.low, other.low), max(one.high, other.high))


def _lesser(values: Sequence[Range], _: Operation) -> Range:
    one, other = values
    return Range(min(one.low, other.low), min(one.high, other.high))


def _either(values: Sequence[Range], _: Operation) -> Range:
    first, *others = values[1:]
    if all(other == first for other in others):
        return first
    return Range(min(v.low for v in values[1:]), max(v.high for v in values[1:]))


RULES: dict[str, Rule] = {
    "abs": _magnitude,
    "add": _sum,
    "add_any": _sum,
    "broadcast_in_dim": _reshaped,
    "convert_element_type": _reshaped,
    "copy": _same,
    "copy_p": _same,
    "div": _quotient,
    "integer_pow": _power,
    "max": _greater,
    "min": _lesser,
    "mul": _product,
    "neg": _negated,
    "reshape": _reshaped,
    "rsqrt": _inverse_root,
    "select_n": _either,
    "sign": _sign,
    "sqrt": _root,
    "square": _square,
    "stop_gradient": _same,
    "sub": _difference,
    "transpose": _reshaped,
}
"""The range of each operation's result; nothing is known of operations that are not here."""
