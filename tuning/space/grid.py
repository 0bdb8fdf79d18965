"""The grid: a Cartesian product of hyperparameter values, addressed by integer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias, overload

from tuning.errors import TuningError, quoted, shortened
from tuning.space.parameters import Choice, Parameter
from tuning.space.space import Space

Value: TypeAlias = bool | int | float | str | None
Configuration: TypeAlias = dict[str, Value]

LISTED = 8  # values of an axis that a message shows


class Grid(Space):
    """The Cartesian product of named axes, each an ordered list of values.

    A point is numbered by mixed radix, the first axis slowest, as nested loops would visit it.
    Only the axes are stored: a grid of 10**18 points costs as little as one of ten.

    Parameters
    ----------
    axes : mapping of str to sequence of bool, int, float, str or None
        Name and values of each hyperparameter, in order. NumPy scalars become Python's.

    Raises
    ------
    TuningError
        For a grid without axes, an axis without values, a value that is repeated, not finite or
        not a scalar. ``1``, ``1.0`` and ``True`` count as repeated: no table could tell them apart.

    Examples
    --------
    >>> grid = Grid({"units": [64, 128], "rate": [0.0, 0.25, 0.5]})
    >>> len(grid), grid[4]
    (6, {'units': 128, 'rate': 0.25})
    >>> grid.index({"rate": 0.25, "units": 128})
    4
    """

    def __init__(self, axes: Mapping[str, Iterable[Value]]) -> None:
        if not isinstance(axes, Mapping):
            raise TuningError(
                f"a grid takes a mapping of axis names to values, not {type(axes).__name__}"
            )
        if not axes:
            raise TuningError("a grid needs at least one axis")
        self._axes = {_axis_name(name): _axis_values(name, axes[name]) for name in axes}
        self._positions = {
            name: {(type(value), value): i for i, value in enumerate(values)}
            for name, values in self._axes.items()
        }

    @property
    def axes(self) -> Mapping[str, tuple[Value, ...]]:
        """The values of each axis, in order; read only."""
        return MappingProxyType(self._axes)

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Each axis as a choice of its values; read only."""
        return MappingProxyType({name: Choice(values) for name, values in self._axes.items()})

    def place(self, configuration: Mapping[str, Value]) -> int:
        """The configuration's place in the grid: its `index`."""
        return self.index(configuration)

    @property
    def size(self) -> int:
        """The number of points, however large (``len`` stops at ``sys.maxsize``)."""
        return math.prod(len(values) for values in self._axes.values())

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    @overload
    def __getitem__(self, index: int) -> Configuration: ...
    @overload
    def __getitem__(self, index: slice) -> GridSlice: ...
    def __getitem__(self, index: int | slice) -> Configuration | GridSlice:
        if isinstance(index, slice):
            return GridSlice(self, range(self.size)[index])
        remaining = range(self.size)[index]
        configuration: Configuration = {}
        for name in reversed(self._axes):
            remaining, position = divmod(remaining, len(self._axes[name]))
            configuration[name] = self._axes[name][position]
        return {name: configuration[name] for name in self._axes}

    def position(self, axis: str, index: Any) -> Any:
        """Which of an axis's values a point has, counted from 0.

        Parameters
        ----------
        axis : str
        index : int, array or Series
            Grid indices; the result has the same shape.
        """
        for name in reversed(self._faster(axis)):  # each in turn: their product may be too large
            index = index // len(self._axes[name])
        return index % len(self._axes[axis])

    def line(self, axis: str, index: Any) -> Any:
        """The line along an axis that a point lies on, named by its first point.

        Parameters
        ----------
        axis : str
        index : int, array or Series
            Grid indices; the result has the same shape.
        """
        apart = math.prod(len(self._axes[name]) for name in self._faster(axis))
        if apart >= 2**63 and not isinstance(index, int):
            index = index.astype(object)
        return index - self.position(axis, index) * apart

    def _faster(self, axis: str) -> list[str]:
        """The axes behind this one, which change faster."""
        return list(self._axes)[list(self._axes).index(axis) + 1 :]

    def index(self, configuration: Mapping[str, Value]) -> int:
        """The number of a configuration, in ``range(size)``.

        Raises
        ------
        TuningError
            For an axis that is missing or unknown, or a value its axis does not have. A value has
            to be of the same type: ``1`` is not ``1.0``.
        """
        for name in configuration:
            if name not in self._axes:
                raise TuningError(f"unknown axis {name!r}: the grid has {', '.join(self._axes)}")
        index = 0
        for name, values in self._axes.items():
            if name not in configuration:
                raise TuningError(f"the configuration lacks axis {name!r}")
            value = _python_scalar(configuration[name])
            try:
                position = self._positions[name][type(value), value]
            except (KeyError, TypeError):
                raise TuningError(
                    f"{quoted(value)} is not a value of axis {name!r}: it has {listing(values)}"
                ) from None
            index = index * len(values) + position
        return index

    def __contains__(self, configuration: object) -> bool:
        try:
            self.index(configuration)  # type: ignore[arg-type]
        except (TuningError, TypeError):
            return False
        return True

    def __iter__(self) -> Iterator[Configuration]:
        for values in itertools.product(*self._axes.values()):
            yield dict(zip(self._axes, values, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}: {listing(values)}" for name, values in self._axes.items())
        return f"Grid({self.size:,} configurations of {axes})"

    def _key(self) -> tuple[object, ...]:
        return tuple(
            (name, tuple((type(value), value) for value in values))
            for name, values in self._axes.items()
        )


@dataclass(frozen=True)
class GridSlice(Sequence[Configuration]):
    """Some of a grid's configurations, made when they are asked for.

    Attributes
    ----------
    grid : Grid
    indices : range
        The points' numbers in the grid.
    """

    grid: Grid
    indices: range

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Configuration: ...
    @overload
    def __getitem__(self, index: slice) -> GridSlice: ...
    def __getitem__(self, index: int | slice) -> Configuration | GridSlice:
        if isinstance(index, slice):
            return GridSlice(self.grid, self.indices[index])
        return self.grid[self.indices[index]]


def _axis_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise TuningError(f"{quoted(name)} cannot name an axis: a name is printable text")
    return name


def _axis_values(name: str, values: Iterable[Value]) -> tuple[Value, ...]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TuningError(f"axis {name!r} needs a list of values, not {quoted(values)}")
    checked = tuple(_python_scalar(value) for value in values)
    if not checked:
        raise TuningError(f"axis {name!r} has no values")
    seen: dict[Value, Value] = {}
    for value in checked:
        if not isinstance(value, bool | int | float | str | None):
            raise TuningError(
                f"axis {name!r} has a value {quoted(value)}, where a bool, int, float, str or None "
                "is needed: let build_model make the rest from these"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise TuningError(f"axis {name!r} has the value {value!r}, which is not finite")
        if value in seen:
            other = seen[value]
            equal = "" if type(other) is type(value) else f" ({other!r} and {value!r} are equal)"
            raise TuningError(f"axis {name!r} repeats {quoted(value)}{equal}")
        seen[value] = value
    return checked


def _python_scalar(value: object) -> Value:
    """A NumPy scalar as Python's own; anything else as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()  # type: ignore[attr-defined]
    return value  # type: ignore[return-value]


def listing(values: Sequence[Value]) -> str:
    """The values as a list, of many the first and the last."""
    shown = [quoted(value) for value in values]
    if len(shown) > LISTED:
        shown = [*shown[: LISTED - 2], "…", shown[-1]]
    return f"[{shortened(', '.join(shown), 80)}]" + (
        f" ({len(values):,})" if len(values) > LISTED else ""
    )
