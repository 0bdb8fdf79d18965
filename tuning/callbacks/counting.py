"""The text of a progress bar: trials done, the best so far, the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

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

    def show(self) -> None:
        """Show it anew: something has changed."""

    def planned(self, pack: Pack) -> None:
        """A pack was planned."""
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

    def text(self) -> str:
        """Such as ``12/20 trials · random best 0.9930 · 8 s left``."""
        parts = [f"{self.done:,}/{self.trials:,} trials"]
        parts += [f"{strategy} best {value:.4f}" for strategy, value in sorted(self._best.items())]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        if self.done < self.trials:
            since = time.monotonic() - self._last_report
            left = self._time_left.seconds(self._workers, since)
            parts.append("timing the first trials" if left is None else f"{duration(left)} left")
        return " · ".join(parts)
