"""The grid: a Cartesian product of hyperparameter values, addressed by integer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, overload

from tuning.errors import TuningError, quoted
from tuning.space.labels import Value, labelled, python_scalar, same
from tuning.space.parameters import Choice, Parameter, listing
from tuning.space.space import Configuration, Space, check_name, is_list

__all__ = ["Configuration", "Grid", "GridSlice", "Value", "listing"]


class Grid(Space):
    """The Cartesian product of named axes, each an ordered list of values.

    A point is numbered by mixed radix, the first axis slowest, as nested loops would visit it.
    Only the axes are stored: a grid of 10**18 points costs as little as one of ten.

    A value may be anything. Where it is no number, boolean, text or None, the grid has a label in
    its place, such as ``(64, 32)``; see `Space`.

    Parameters
    ----------
    axes : mapping of str to sequence
        Name and values of each hyperparameter, in order. NumPy scalars become Python's.

    Raises
    ------
    TuningError
        For a grid without axes, an axis without values, a value that is repeated or not finite.
        ``1``, ``1.0`` and ``True`` count as repeated: no table could tell them apart.

    Examples
    --------
    >>> grid = Grid({"units": [64, 128], "rate": [0.0, 0.25, 0.5]})
    >>> len(grid), grid[4]
    (6, {'units': 128, 'rate': 0.25})
    >>> grid.index({"rate": 0.25, "units": 128})
    4
    """

    def __init__(self, axes: Mapping[str, Iterable[Any]]) -> None:
        if not isinstance(axes, Mapping):
            raise TuningError(
                f"a grid takes a mapping of axis names to values, not {type(axes).__name__}"
            )
        if not axes:
            raise TuningError("a grid needs at least one axis")
        self._axes: dict[str, tuple[Value, ...]] = {}
        values: dict[str, dict[Value, Any]] = {}
        self._values = values
        for name in axes:
            check_name(name)
            self._axes[name], others = _axis_values(name, axes[name])
            if others:
                values[name] = others
        self._positions = {
            name: {(type(value), value): i for i, value in enumerate(values)}
            for name, values in self._axes.items()
        }

    @property
    def axes(self) -> Mapping[str, tuple[Value, ...]]:
        """The values of each axis, or labels of them, in order; read only."""
        return MappingProxyType(self._axes)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Each axis as a choice of its values; read only."""
        return MappingProxyType(self._choices)

    @cached_property
    def _choices(self) -> dict[str, Parameter]:
        return {name: Choice(values) for name, values in self._axes.items()}

    def place(self, configuration: Mapping[str, Any]) -> int:
        """The configuration's place in the grid: its `index`."""
        return self.index(configuration)

    def labels(self, configuration: Mapping[str, Any]) -> Configuration:
        """The configuration with labels in place of values, in the order of the axes."""
        return self[self.index(configuration)]

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

    def index(self, configuration: Mapping[str, Any]) -> int:
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
            value = python_scalar(configuration[name])
            try:
                position = self._positions[name][type(value), value]
            except (KeyError, TypeError):
                position = self._named_position(name, value)
            index = index * len(values) + position
        return index

    def _named_position(self, name: str, value: Any) -> int:
        """The place of a value that has a label."""
        for label, own in self.named_values.get(name, {}).items():
            if same(own, value):
                return self._positions[name][type(label), label]
        raise TuningError(
            f"{quoted(value)} is not a value of axis {name!r}: it has {listing(self._axes[name])}"
        )

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


def _axis_values(name: str, values: Any) -> tuple[tuple[Value, ...], dict[Value, Any]]:
    """The labels of an axis's values, and the values that are not their own label."""
    if not is_list(values):
        raise TuningError(f"axis {name!r} needs a list of values, not {quoted(values)}")
    return labelled(f"axis {name!r}", values)
