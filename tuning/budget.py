"""Budgets: when a search ends, besides when its strategies have no more trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tuning.errors import TuningError
from tuning.trial import Outcome, Spent

BOUNDED_BY_ONE = ("accuracy", "auc", "precision", "recall", "f1", "top_k", "iou", "r2")
"""Parts of metrics' names that cannot be above 1."""


@dataclass(frozen=True)
class Budget:
    """The limits of a search; it ends with the first that is reached. None is no limit.

    Attributes
    ----------
    time : float, optional
        Seconds of wall clock from when training begins. What trains then is stopped at the end of
        its epoch.
    target : float, optional
        Of the metric that chooses: a trial that reaches it ends the search at once.
    stop_after : int, optional
        So many trials one after another, in the order in which they are counted, none of which is
        better than all before. Those that were stopped before their end do not count.
    epochs : int, optional
        Trained in all. What trains then is trained to its end.
    as_long_as : str, optional
        A strategy of the search: strategies are trained one after another, this one first, and each
        of the others for as long as it took, in seconds of wall clock.
    """

    time: float | None = None
    target: float | None = None
    stop_after: int | None = None
    epochs: int | None = None
    as_long_as: str | None = None

    def __post_init__(self) -> None:
        if self.time is not None and not 0 < self.time < math.inf:
            raise TuningError(f"--time takes a duration above 0, such as 60s, not {self.time:g} s")
        if self.target is not None and not math.isfinite(self.target):
            raise TuningError(f"--target takes a number, not {self.target}")
        for name, value in (("--stop-after", self.stop_after), ("--epochs-total", self.epochs)):
            if value is not None and value < 1:
                raise TuningError(f"{name} takes a number from 1, not {value}")

    def __bool__(self) -> bool:
        return self != Budget()

    def describe(self) -> str:
        """The limits in words, such as ``for 60 s``; empty without any."""
        said = []
        if self.as_long_as is not None:
            said.append(f"one after another, each for as long as {self.as_long_as} takes")
        if self.time is not None:
            said.append(f"for {self.time:g} s")
        if self.target is not None:
            said.append(f"until {self.target:g} is reached")
        if self.stop_after is not None:
            said.append(f"until {self.stop_after:,} trials in a row bring no gain")
        if self.epochs is not None:
            said.append(f"for {self.epochs:,} epochs")
        return " or ".join(said)

    def settings(self) -> dict[str, Any]:
        """The limits that there are, by name, for a manifest."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Budget:
        """The budget that a manifest has.

        Raises
        ------
        TuningError
            For settings that it does not take.
        """
        if unknown := set(settings) - {each.name for each in fields(cls)}:
            raise TuningError(f"a budget has no {min(unknown)!r}")
        return cls(**settings)

    def check_target(self, metric: str, mode: str) -> None:
        """Refuse a target that the metric cannot reach.

        Raises
        ------
        TuningError
            For an accuracy or the like above 1, and for anything that is counted down below 0.
        """
        if self.target is None:
            return
        known = any(part in metric.lower() for part in BOUNDED_BY_ONE)
        if mode == "max" and known and self.target > 1:
            raise TuningError(f"--target {self.target:g}: {metric} is never above 1")
        if mode == "min" and known and self.target < 0:
            raise TuningError(f"--target {self.target:g}: {metric} is never below 0")


@dataclass
class Course:
    """The course of a search, as far as its budget asks for it.

    Parameters
    ----------
    budget : Budget
    metric : str
    mode : {"max", "min"}
    spent : Spent
        In earlier parts of the run.
    """

    budget: Budget
    metric: str
    mode: str
    spent: Spent = field(default_factory=Spent)
    best: float = math.nan
    without_gain: int = 0

    def count(self, outcomes: Iterable[Outcome]) -> None:
        """Note outcomes in the order in which they were counted."""
        for outcome in outcomes:
            if outcome.status == "stopped":
                continue
            value = outcome.metrics.get(self.metric, math.nan)
            if (math.isnan(self.best) and not math.isnan(value)) or self._is_better(value):
                self.best, self.without_gain = value, 0
            else:
                self.without_gain += 1

    def seconds_left(self) -> float | None:
        """Until its time is over; None without a limit."""
        if self.budget.time is None:
            return None
        return max(0.0, self.budget.time - self.spent.seconds)

    @property
    def at_once(self) -> str:
        """Why it ends without waiting for what trains; empty if it does not."""
        target, stop_after = self.budget.target, self.budget.stop_after
        if target is not None and (self.best == target or self._is_better_than(self.best, target)):
            return f"the target {target:g} was reached"
        if stop_after is not None and self.without_gain >= stop_after:
            return f"{stop_after:,} trials in a row were not better than the best before them"
        return ""

    @property
    def over(self) -> str:
        """Why it begins no more trainings; empty if it does."""
        if why := self.at_once:
            return why
        if self.budget.time is not None and self.spent.seconds >= self.budget.time:
            return f"its time of {self.budget.time:g} s was over"
        if self.budget.epochs is not None and self.spent.epochs >= self.budget.epochs:
            return f"{self.budget.epochs:,} epochs were trained"
        return ""

    def share(self) -> float:
        """How much of its budget is spent, from 0 to 1; 0 where that cannot be told."""
        shares = [0.0]
        if self.budget.time is not None:
            shares.append(self.spent.seconds / self.budget.time)
        if self.budget.epochs is not None:
            shares.append(self.spent.epochs / self.budget.epochs)
        return min(1.0, max(shares))

    def _is_better(self, value: float) -> bool:
        return self._is_better_than(value, self.best)

    def _is_better_than(self, value: float, other: float) -> bool:
        return value > other if self.mode == "max" else value < other


def seconds_of(text: str) -> float:
    """A duration from what a person writes: ``90``, ``60s``, ``5m``, ``1.5h``.

    Raises
    ------
    TuningError
        For anything else.
    """
    units = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
    number = text.strip().rstrip("smindh")
    unit = text.strip()[len(number) :]
    try:
        seconds = float(number) * units[unit]
    except (ValueError, KeyError):
        raise TuningError(f"--time takes a duration such as 60s, 5m or 1h, not {text!r}") from None
    if not 0 < seconds < math.inf:
        raise TuningError(f"--time takes a duration above 0, not {text!r}")
    return seconds
