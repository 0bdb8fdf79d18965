"""The text of a progress bar: trials done, the best so far, the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from tuning.budget import Budget, Course
from tuning.callbacks.time_left import TimeLeft
from tuning.engines.reports import Report
from tuning.execution.loop import Counted, Progress
from tuning.packing.packs import Pack
from tuning.problem.problem import Mode
from tuning.report.terminal import duration


class CountingProgress(Progress):
    """Counts trials and finds words for them; what shows them derives from it.

    Parameters
    ----------
    trials : int
        How many rows the run will have.
    workers : int
        That train at once; 0 if this process does.
    metric : str
    mode : {"max", "min"}

    Attributes
    ----------
    done, trials : int
    """

    def __init__(self, trials: int, *, workers: int, metric: str, mode: Mode) -> None:
        self.done = 0
        self.trials = trials
        self._workers = max(1, workers)
        self._metric = metric
        self._mode = mode
        self._failed = 0
        self._best: dict[str, float] = {}
        self._time_left = TimeLeft()
        self._last_report = time.monotonic()
        self._course = Course(Budget(), metric, mode)
        self._learns = False
        self._trainings = 0
        self._spent_before = 0.0

    def show(self) -> None:
        """Show it anew: something has changed."""

    def begun(self, trials: int, course: Course, *, learns: bool) -> None:
        """A search begins: from now on its trials are counted, and the time that it has left."""
        self.done, self.trials = 0, trials
        self._course, self._learns = course, learns
        self._trainings = 0
        self._spent_before = course.spent.seconds
        self._time_left = TimeLeft()
        self._last_report = time.monotonic()
        self.show()

    def planned(self, pack: Pack) -> None:
        """A pack was planned."""
        self._trainings += sum(trial.since == 0 for trial in pack.trials)
        self._time_left.plan(pack)

    def ended(self, pack: Pack) -> None:
        """Nothing more comes of a pack: it was trained, or its worker died."""
        self._time_left.end(pack)

    def kept(self, rows: int) -> None:
        """So many trials were counted without training."""
        self.done += rows
        self.show()

    def trained(self, pack: Pack, report: Report, counted: Sequence[Counted]) -> None:
        """A worker reported of a pack, and its outcomes were counted."""
        self._last_report = time.monotonic()
        self._time_left.observe(pack, report)
        self._failed += sum(each.status in ("failed", "timeout") for each in report.outcomes)
        self.done += len(counted)
        better = max if self._mode == "max" else min
        for strategy, outcome in counted:
            value = outcome.metrics.get(self._metric)
            if value is not None and not math.isnan(value):
                self._best[strategy] = better(value, self._best.get(strategy, value))
        self.show()

    @property
    def share(self) -> float:
        """How much of the search is done, from 0 to 1."""
        shares = [self._course.share()]
        if self._learns:
            shares.append(self._trainings / self.trials)
        else:
            shares.append(self.done / max(1, self.trials))
        return min(1.0, max(shares))

    def text(self) -> str:
        """Such as ``12/20 trials · random best 0.9930 · 8 s left``."""
        known = not self._learns and self._course.budget.time is None
        parts = [f"{self.done:,}/{self.trials:,} trials" if known else f"{self.done:,} trials"]
        parts += [f"{strategy} best {value:.4f}" for strategy, value in sorted(self._best.items())]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        if self.done < self.trials:
            left = self._seconds_left()
            parts.append("timing the first trials" if left is None else f"{duration(left)} left")
        return " · ".join(parts)

    def _seconds_left(self) -> float | None:
        """Until the first of its ends; None before anything was seen."""
        since = time.monotonic() - self._last_report
        found: list[float | None] = []
        if (left := self._course.seconds_left()) is not None:
            found.append(left - since)
        if not self._learns:
            found.append(self._time_left.seconds(self._workers, since))
        elif share := self.share:
            spent = self._course.spent.seconds - self._spent_before
            found.append(spent * (1 - share) / share - since)
        known = [each for each in found if each is not None]
        return max(1.0, min(known)) if known else None
