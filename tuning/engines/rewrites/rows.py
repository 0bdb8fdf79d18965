"""Which operations compute each row of a batch from that row alone, and where its axis goes.

A value is known here by the axis that counts the rows of the batch, or as one that no row goes
into. What adds rows up, mixes them or treats them by their place has no rule, nor has an operation
that is not listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tuning.engines.rewrites.zero_columns import ELEMENTWISE

ALIKE = ELEMENTWISE | {"atan2", "cosh", "erf_inv", "erfc", "lgamma", "sinh", "tan"}
OVER_AXES = {f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or")}
OVER_AXES |= {"argmax", "argmin"}
ALONG_AXIS = {f"cum{name}" for name in ("sum", "prod", "max", "min", "logsumexp")}
IN_WINDOWS = {f"reduce_window_{name}" for name in ("sum", "max", "min")}

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """What a value is to the rows of a batch.

    Attributes
    ----------
    shape : tuple of int
    axis : int, optional
        Which counts the rows; None where no row goes into the value.
    constant : frozenset of int
        Where none does: the axes along which it is known to be the same number.
    """

    shape: Shape
    axis: int | None = None
    constant: frozenset[int] = frozenset()

    def same_along(self, axis: int) -> bool:
        """Whether no row goes into it, and each meets the same numbers along an axis of rows."""
        return self.axis is None and (axis in self.constant or self.shape[axis] == 1)


Rule: TypeAlias = Callable[[Sequence[Rows], Mapping[str, Any], Shape], int | None]
"""Finds the axis of rows of a result, of given shape; None where it has not one that is proven."""


def rows_of_results(
    name: str, params: Mapping[str, Any], given: Sequence[Rows], shapes: Sequence[Shape]
) -> list[Rows] | None:
    """What the results of an operation are to the rows of a batch; None if that is not proven.

    Parameters
    ----------
    name : str
        Of the primitive.
    params : mapping
        Its parameters.
    given : sequence of Rows
        Its inputs.
    shapes : sequence of tuple of int
        Of its results.
    """
    if name not in RULES:
        return None
    if all(each.axis is None for each in given):
        return [Rows(shape, None, _constant_axes(name, params, given, shape)) for shape in shapes]
    found = []
    for shape in shapes:
        axis = RULES[name](given, params, shape)
        if axis is None:
            return None
        found.append(Rows(shape, axis))
    return found


def _constant_axes(
    name: str, params: Mapping[str, Any], given: Sequence[Rows], shape: Shape
) -> frozenset[int]:
    """The axes along which a result that no row goes into is the same number."""
    if name in ALIKE:
        axes = range(len(shape))
        return frozenset(a for a in axes if all(not o.shape or o.same_along(a) for o in given))
    if name == "broadcast_in_dim":
        (own, *_) = given
        to = params["broadcast_dimensions"]
        varying = {made for axis, made in enumerate(to) if axis not in own.constant}
        return frozenset(
            axis
            for axis in range(len(shape))
            if axis not in varying or own.shape[to.index(axis)] == 1
        )
    return frozenset()


def _alike(given: Sequence[Rows], _: Mapping[str, Any], shape: Shape) -> int | None:
    axis = _first_axis(given)
    fits = all(not each.shape or each.axis == axis or each.same_along(axis) for each in given)
    rows = {each.shape[axis] for each in given if each.axis == axis}
    return axis if fits and rows == {shape[axis]} else None


def _broadcast(given: Sequence[Rows], params: Mapping[str, Any], shape: Shape) -> int | None:
    own, axis = given[0], _axis(given[0])
    made: int = params["broadcast_dimensions"][axis]
    return made if shape[made] == own.shape[axis] else None


def _reshaped(given: Sequence[Rows], params: Mapping[str, Any], shape: Shape) -> int | None:
    own, axis = given[0], _axis(given[0])
    if params.get("dimensions") is not None:
        return None
    before, rows = math.prod(own.shape[:axis]), own.shape[axis]
    whole = (i for i, n in enumerate(shape) if n == rows and math.prod(shape[:i]) == before)
    return next(whole, None)


def _squeezed(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    return _without(_axis(given[0]), params["dimensions"])


def _transposed(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    return int(tuple(params["permutation"]).index(_axis(given[0])))


def _reduced(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    return _without(_axis(given[0]), params["axes"])


def _accumulated(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    axis = _axis(given[0])
    return axis if params["axis"] != axis else None


def _joined(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    axis = _first_axis(given)
    fits = all(each.axis == axis or each.same_along(axis) for each in given)
    return axis if fits and params["dimension"] != axis else None


def _padded(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    own, filling = given
    if own.axis is None or filling.axis is not None:
        return None
    return own.axis if tuple(params["padding_config"][own.axis]) == (0, 0, 0) else None


def _sliced(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    axis, rows = _axis(given[0]), given[0].shape[_axis(given[0])]
    strides = params["strides"]
    whole = (params["start_indices"][axis], params["limit_indices"][axis]) == (0, rows)
    return axis if whole and (strides is None or strides[axis] == 1) else None


def _turned(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    axis = _axis(given[0])
    return axis if axis not in params["dimensions"] else None


def _product(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    contracted, batch = params["dimension_numbers"]
    side = 0 if given[0].axis is not None else 1
    other, axis = given[1 - side], _axis(given[side])
    if axis in contracted[side]:
        return None
    if axis in batch[side]:
        place = list(batch[side]).index(axis)
        paired = batch[1 - side][place]
        return place if other.axis == paired or other.same_along(paired) else None
    if other.axis is not None:
        return None
    free = [_free(each, contracted[i], batch[i]) for i, each in enumerate(given)]
    return len(batch[0]) + (len(free[0]) if side else 0) + free[side].index(axis)


def _convolution(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    images, kernel = given
    numbers = params["dimension_numbers"]
    fits = images.axis == numbers.lhs_spec[0] and kernel.axis is None
    return numbers.out_spec[0] if fits and params["batch_group_count"] == 1 else None


def _in_windows(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    axis = _axis(given[0])
    ones = ("window_dimensions", "window_strides", "base_dilation", "window_dilation")
    single = all(params[name][axis] == 1 for name in ones)
    return axis if single and tuple(params["padding"][axis]) == (0, 0) else None


def _gathered(given: Sequence[Rows], params: Mapping[str, Any], shape: Shape) -> int | None:
    """Rows of a table, or fixed places of each row."""
    table, places = given
    numbers = params["dimension_numbers"]
    if numbers.operand_batching_dims or numbers.start_indices_batching_dims:
        return None
    if table.axis is None:
        own = _axis(places)
        others = [axis for axis in range(len(shape)) if axis not in numbers.offset_dims]
        return others[own] if own < len(places.shape) - 1 else None
    axis = table.axis
    whole = params["slice_sizes"][axis] == table.shape[axis]
    dropped = {*numbers.start_index_map, *numbers.collapsed_slice_dims}
    if places.axis is not None or not whole or axis in dropped:
        return None
    taken = [i for i in range(len(table.shape)) if i not in numbers.collapsed_slice_dims]
    return int(numbers.offset_dims[taken.index(axis)])


def _split(given: Sequence[Rows], params: Mapping[str, Any], _: Shape) -> int | None:
    axis = _axis(given[0])
    return axis if params["axis"] != axis else None


def _no_rows(*_: Any) -> int | None:
    return None


def _axis(value: Rows) -> int:
    """The axis of a value that counts rows, or one that no value has."""
    return -1 if value.axis is None else value.axis


def _first_axis(given: Sequence[Rows]) -> int:
    return next(each.axis for each in given if each.axis is not None)


def _without(axis: int, left_out: Sequence[int]) -> int | None:
    """Where an axis is once others are left out; None if it is one of them."""
    return None if axis in left_out else axis - sum(each < axis for each in left_out)


def _free(value: Rows, contracted: Sequence[int], batch: Sequence[int]) -> list[int]:
    return [i for i in range(len(value.shape)) if i not in contracted and i not in batch]


RULES: dict[str, Rule] = {
    **dict.fromkeys(ALIKE, _alike),
    **dict.fromkeys(OVER_AXES, _reduced),
    **dict.fromkeys(ALONG_AXIS, _accumulated),
    **dict.fromkeys(IN_WINDOWS, _in_windows),
    "broadcast_in_dim": _broadcast,
    "concatenate": _joined,
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "gather": _gathered,
    "iota": _no_rows,
    "pad": _padded,
    "reshape": _reshaped,
    "rev": _turned,
    "slice": _sliced,
    "split": _split,
    "squeeze": _squeezed,
    "transpose": _transposed,
}
"""The rule of each operation; nothing is known of operations that are not here."""
