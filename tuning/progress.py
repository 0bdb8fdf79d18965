"""Progress on the terminal: trials done, best so far, time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

from tuning.problem import Mode
from tuning.results import Row
from tuning.training.outcome import Outcome

LINE_EVERY_SECONDS = 30.0  # where there is no terminal to redraw


@dataclass
class TimeLeft:
    """How long the rest will take, from a line fitted through the trials so far.

    A trial of s training steps is taken to last a + b·s seconds, a and b by least squares over the
    trials finished; with one length of trial seen so far, in proportion to its steps.
    """

    n: int = 0
    sum_s: float = 0.0
    sum_t: float = 0.0
    sum_ss: float = 0.0
    sum_st: float = 0.0
    waiting: dict[str, float] = field(default_factory=lambda: {"trials": 0.0, "steps": 0.0})

    def plan(self, steps: int) -> None:
        """A trial of so many steps is to come."""
        self.waiting["trials"] += 1
        self.waiting["steps"] += steps

    def observe(self, steps: int, seconds: float) -> None:
        """One of the trials to come took so many seconds."""
        self.waiting["trials"] -= 1
        self.waiting["steps"] -= steps
        self.n += 1
        self.sum_s += steps
        self.sum_t += seconds
        self.sum_ss += steps * steps
        self.sum_st += steps * seconds

    def coefficients(self) -> tuple[float, float]:
        """(a, b): seconds a trial, and seconds a step; neither is negative."""
        spread = self.n * self.sum_ss - self.sum_s**2
        if spread > 1e-9 * max(self.sum_ss, 1.0):
            b = (self.n * self.sum_st - self.sum_s * self.sum_t) / spread
            a = (self.sum_t - b * self.sum_s) / self.n
            if a >= 0 and b >= 0:
                return a, b
        return (0.0, self.sum_t / self.sum_s) if self.sum_s else (0.0, 0.0)

    def seconds(self, workers: int, in_flight: float = 0.0) -> float | None:
        """Seconds until the end, or None before anything was seen.

        Parameters
        ----------
        workers : int
            Trials that train at once.
        in_flight : float
            Seconds already spent on trials not finished.
        """
        if self.n == 0:
            return None
        a, b = self.coefficients()
        rest = a * self.waiting["trials"] + b * self.waiting["steps"]
        return max(0.0, rest - in_flight) / workers


class TerminalProgress:
    """A bar that is redrawn on a terminal; elsewhere a line every half minute.

    Parameters
    ----------
    trials : int
        How many rows the run will have.
    workers : int
    metric : str
    mode : {"max", "min"}
    console : rich.console.Console
    """

    def __init__(
        self, trials: int, *, workers: int, metric: str, mode: Mode, console: Console
    ) -> None:
        self._trials = trials
        self._workers = workers
        self._metric = metric
        self._mode = mode
        self._console = console
        self._done = 0
        self._failed = 0
        self._best: dict[str, float] = {}
        self._time_left = TimeLeft()
        self._started: dict[int, float] = {}
        self._last_line = time.monotonic()
        self._bar = Bar(
            BarColumn(bar_width=24),
            _Live(self._text),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=trials)

    def __enter__(self) -> TerminalProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def planned(self, steps: int) -> None:
        """A trial of so many training steps was planned."""
        self._time_left.plan(steps)

    def started(self, trial: int) -> None:
        """A trial was handed to a worker."""
        self._started[trial] = time.monotonic()

    def kept(self, rows: int) -> None:
        """So many rows were there without training."""
        self._done += rows
        self._show()

    def finished(self, outcome: Outcome, steps: int, rows: list[Row]) -> None:
        """A trial was trained, and its rows counted."""
        self._started.pop(outcome.trial, None)
        self._time_left.observe(steps, outcome.seconds)
        self._done += len(rows)
        self._failed += outcome.status == "failed"
        value = outcome.metrics.get(self._metric)
        if value is not None and not math.isnan(value):
            better = max if self._mode == "max" else min
            for row in rows:
                strategy = row["strategy"]
                self._best[strategy] = better(value, self._best.get(strategy, value))
        self._show()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._done)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = now
            self._console.print(self._text(), highlight=False)

    def _text(self) -> str:
        parts = [f"{self._done:,}/{self._trials:,} trials"]
        parts += [f"{strategy} best {value:.4f}" for strategy, value in sorted(self._best.items())]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        if self._done < self._trials:
            training = sorted(self._started.values())[: self._workers]
            spent = sum(time.monotonic() - start for start in training)
            left = self._time_left.seconds(self._workers, spent)
            parts.append("timing the first trials" if left is None else f"{duration(left)} left")
        return " · ".join(parts)


class _Live(ProgressColumn):
    """Text that is made anew whenever the bar is drawn: the time left runs between trials."""

    def __init__(self, text: Callable[[], str]) -> None:
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(self._text())


def duration(seconds: float) -> str:
    """A length of time as a person says it: ``48 s``, ``3 min 05 s``, ``2 h 10 min``, ``24 d 0 h``.

    Parameters
    ----------
    seconds : float
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400:,} d {whole % 86400 // 3600} h"
