"""The hyperparameters of a space: which values each may have, and where it exists."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from tuning.errors import TuningError, quoted, shortened
from tuning.space.labels import labelled, same

Kind = TypeVar("Kind", bound="Parameter")

LISTED = 8  # values that a message shows
LARGEST_INT = 2**53  # up to which a float has every whole number

Conditions = tuple[tuple[str, tuple[Any, ...]], ...]
"""Names of other hyperparameters, each with the values of which it has to have one."""


@dataclass(frozen=True)
class Parameter(ABC):
    """A hyperparameter: the values that it may have, and where it exists.

    Attributes
    ----------
    conditions : tuple of (str, tuple)
        It exists where each of these others exists and has one of the values.
    """

    conditions: Conditions = field(default=(), kw_only=True)

    def when(self: Kind, **others: Any) -> Kind:
        """The same, existing only where others have certain values.

        Parameters
        ----------
        **others : value or list of values
            By the names of other hyperparameters, which stand before it in the space.

        Examples
        --------
        >>> Int(16, 256, log=True).when(layers=[2, 3]).conditions
        (('layers', (2, 3)),)
        """
        found = tuple(
            (name, tuple(values) if isinstance(values, list | range) else (values,))
            for name, values in others.items()
        )
        return replace(self, conditions=(*self.conditions, *found))

    def exists(self, configuration: Mapping[str, Any]) -> bool:
        """Whether it exists beside the values of a configuration."""
        return all(
            name in configuration and any(same(configuration[name], value) for value in values)
            for name, values in self.conditions
        )

    @abstractmethod
    def has(self, value: Any) -> bool:
        """Whether a value is one of its values, of the same type."""

    @abstractmethod
    def range_text(self) -> str:
        """Its values in words, for messages and tables."""

    @property
    @abstractmethod
    def values(self) -> Sequence[Any] | None:
        """All its values, in order; None where it has any number of a range."""

    @abstractmethod
    def draw(self, random: Random) -> Any:
        """A value, drawn uniformly on its scale."""

    @abstractmethod
    def position(self, value: Any) -> float:
        """Where a value stands: from 0 to 1 on the scale of numbers, or which of the values."""


@dataclass(frozen=True)
class Float(Parameter):
    """Any number of a range.

    Parameters
    ----------
    low, high : float
        Both belong to it.
    log : bool
        Whether its logarithm is drawn uniformly.

    Raises
    ------
    TuningError
        For a range that is empty or not finite, or begins at 0 or below with `log`.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range("Float", self.low, self.high, self.log)

    @property
    def values(self) -> None:
        """None: it has any number of its range."""

    def has(self, value: Any) -> bool:
        """Whether a value is a float in the range."""
        return type(value) is float and self.low <= value <= self.high

    def range_text(self) -> str:
        """Such as ``0.0001 to 0.1, log``."""
        return _range_text(self.low, self.high, self.log)

    def draw(self, random: Random) -> float:
        """A number, drawn uniformly on its scale."""
        return self.at(random.random())

    def at(self, position: float) -> float:
        """The number at a position from 0 to 1 on its scale."""
        if self.log:
            value = math.exp(
                math.log(self.low) + position * (math.log(self.high) - math.log(self.low))
            )
        else:
            value = (
                1 - position
            ) * self.low + position * self.high  # whose difference may overflow
        return min(max(value, float(self.low)), float(self.high))

    def position(self, value: Any) -> float:
        """Where a number stands on the scale, from 0 to 1."""
        return _share(value, self.low, self.high, self.log)


@dataclass(frozen=True)
class Int(Parameter):
    """Any whole number of a range.

    Parameters
    ----------
    low, high : int
        Both belong to it; the highest is ``low`` and so many whole steps.
    log : bool
        Whether its logarithm is drawn uniformly.
    step : int
        Between one number and the next.

    Raises
    ------
    TuningError
        As `Float`, for numbers beyond 2**53, and for a step below 1.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high), ("step", self.step)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TuningError(f"Int takes whole numbers, and {name} is {quoted(value)}")
        _check_range("Int", self.low, self.high, self.log)
        if max(-self.low, self.high) > LARGEST_INT:
            raise TuningError(
                f"Int takes numbers from -2**53 to 2**53, and {self.low} to {self.high} goes beyond"
            )
        if self.step < 1:
            raise TuningError(f"Int takes a step of at least 1, not {self.step}")

    @property
    def values(self) -> range:
        """All its numbers."""
        return range(self.low, self.high + 1, self.step)

    def has(self, value: Any) -> bool:
        """Whether a value is an int in the range, whole steps from its beginning."""
        return type(value) is int and value in self.values

    def range_text(self) -> str:
        """Such as ``16 to 256, log``."""
        by = f", by {self.step}" if self.step > 1 else ""
        return _range_text(self.low, self.values[-1], self.log) + by

    def draw(self, random: Random) -> int:
        """A number, drawn uniformly on its scale."""
        if not self.log:
            return random.choice(self.values)
        return self.at(random.random())

    def at(self, position: float) -> int:
        """The number at a position from 0 to 1 on its scale."""
        last = self.values[-1]
        if self.log:  # each number takes the part of the scale that rounds to it
            low, high = math.log(self.low - 0.5 * min(1, self.low)), math.log(last + 0.5)
            value = math.exp(low + position * (high - low))
        else:
            value = self.low + position * (last - self.low)
        place = round((value - self.low) / self.step)
        return self.values[min(max(place, 0), len(self.values) - 1)]

    def position(self, value: Any) -> float:
        """Where a number stands on the scale, from 0 to 1."""
        return _share(value, self.low, self.values[-1], self.log)


@dataclass(frozen=True)
class Choice(Parameter):
    """One of a list of values, which may be anything.

    Parameters
    ----------
    options : sequence
        Numbers, text, tuples, None, dicts, functions, classes.

    Raises
    ------
    TuningError
        If there are none, or one comes twice.
    """

    options: tuple[Any, ...]

    def __init__(self, options: Iterable[Any], *, conditions: Conditions = ()) -> None:
        if isinstance(options, str | bytes | Mapping) or not isinstance(options, Iterable):
            raise TuningError(f"Choice takes a list of values, not {quoted(options)}")
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "conditions", conditions)
        labelled("Choice", self.options)

    def __hash__(self) -> int:
        return hash((len(self.options), self.conditions))  # as options may have no hash

    @property
    def values(self) -> tuple[Any, ...]:
        """All of them, in order."""
        return self.options

    def draw(self, random: Random) -> Any:
        """One of them, each as likely."""
        return self.options[random.randrange(len(self.options))]

    def has(self, value: Any) -> bool:
        """Whether a value is one of them, of the same type."""
        return any(same(value, option) for option in self.options)

    def range_text(self) -> str:
        """The values, as far as they fit."""
        return listing(self.options)

    def position(self, value: Any) -> float:
        """Which of the values it is, counted from 0."""
        return float(next(i for i, option in enumerate(self.options) if same(value, option)))


@dataclass(frozen=True)
class Fixed(Parameter):
    """One value that all configurations have."""

    value: Any

    @property
    def values(self) -> tuple[Any, ...]:
        """The one value."""
        return (self.value,)

    def draw(self, random: Random) -> Any:
        """The value."""
        return self.value

    def has(self, value: Any) -> bool:
        """Whether a value is the one."""
        return same(value, self.value)

    def range_text(self) -> str:
        """The value."""
        return listing([self.value])

    def position(self, value: Any) -> float:
        """0, as there is only one."""
        return 0.0


def listing(values: Sequence[Any]) -> str:
    """The values as a list, of many the first and the last."""
    shown = [quoted(value) for value in values]
    if len(shown) > LISTED:
        shown = [*shown[: LISTED - 2], "…", shown[-1]]
    return f"[{shortened(', '.join(shown), 80)}]" + (
        f" ({len(values):,})" if len(values) > LISTED else ""
    )


def _range_text(low: float, high: float, log: bool) -> str:
    return f"{low:g} to {high:g}" + (", log" if log else "")


def _share(value: float, low: float, high: float, log: bool) -> float:
    """Where a number stands between the ends of a range, from 0 to 1, however near these are."""
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    elif high - low == math.inf:
        value, low, high = value / 2, low / 2, high / 2
    width = high - low  # 0 of two ends that are as good as one
    return min(max(float((value - low) / width), 0.0), 1.0) if width else 0.0


def _check_range(kind: str, low: float, high: float, log: bool) -> None:
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise TuningError(f"{kind} takes finite numbers, and {name} is {quoted(value)}")
    if not low < high:
        raise TuningError(f"{kind} takes a range from low to high, and {low} is not below {high}")
    if log and low <= 0:
        raise TuningError(
            f"{kind}({low}, {high}, log=True) begins at {low}: a logarithmic range begins above 0"
        )


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
