"""Progress on the terminal: trials done, best so far, time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

from tuning.engines.reports import Report
from tuning.execution.driver import Pack
from tuning.problem.problem import Mode
from tuning.report.terminal import say
from tuning.space.grid import Row
from tuning.trial import Outcome

ALIKE = 0.01  # guesses that differ by less tell nothing of what a difference makes
LINE_EVERY_SECONDS = 30.0  # where there is no terminal to redraw
WIDTH_OF_BAR = 80  # characters that a line needs to have room for a bar


class TimeLeft:
    """How long the rest will take, learnt from what was trained so far.

    A pack (one trial, where none share a program) of e epochs, whose work was guessed at g seconds,
    is taken to last a + p·e + q·g seconds. a is the mean of what packs took besides their epochs;
    p and q are fitted by least squares to the seconds an epoch took against its guess. Where that
    cannot be, as all guesses were alike or the fit would have an end be negative, an epoch takes in
    proportion to its guess.
    """

    def __init__(self) -> None:
        self._waiting = np.zeros(3)  # packs to begin, epochs, guessed seconds
        self._left: dict[Pack, int] = {}  # epochs of those that were begun
        self._begun = 0
        self._besides = 0.0
        self._guesses: list[float] = []
        self._seconds: list[float] = []

    def plan(self, pack: Pack) -> None:
        """A pack is to come."""
        self._waiting += (1, pack.work.epochs, pack.work.seconds)

    def observe(self, pack: Pack, report: Report) -> None:
        """Of a pack that was planned some epochs were trained."""
        if not report.epoch_seconds:
            return
        first = pack not in self._left
        if first:
            self._begun += 1
            self._waiting -= (1, 0, 0)
            self._left[pack] = pack.work.epochs
        epoch = float(np.median(report.epoch_seconds[first:] or report.epoch_seconds))
        self._besides += max(0.0, report.seconds - len(report.epoch_seconds) * epoch)
        self._guesses.append(_guess(pack))
        self._seconds.append(epoch)
        self._take(pack, min(len(report.epoch_seconds), self._left[pack]))

    def end(self, pack: Pack) -> None:
        """Nothing more is to come of a pack."""
        if pack not in self._left:
            self._waiting -= (1, pack.work.epochs, pack.work.seconds)
        else:
            self._take(pack, self._left[pack])
            del self._left[pack]

    def _take(self, pack: Pack, epochs: int) -> None:
        self._left[pack] -= epochs
        self._waiting -= (0, epochs, epochs * _guess(pack))

    def seconds(self, workers: int, since: float = 0.0) -> float | None:
        """Seconds until the end, or None before anything was seen.

        Parameters
        ----------
        workers : int
            Packs that train at once.
        since : float
            Seconds since the last report.
        """
        if not self._begun:
            return None
        rest = float(np.dot(self._waiting, [self._besides / self._begun, *self._fit()]))
        return max(1.0, rest / workers - since)

    def _fit(self) -> tuple[float, float]:
        """(p, q): seconds an epoch, and for a second guessed; neither is negative."""
        guesses, seconds = np.array(self._guesses), np.array(self._seconds)
        if np.ptp(guesses) > ALIKE * guesses.max():
            q, p = np.polyfit(guesses, seconds, 1)
            if p >= 0 and q >= 0:
                return float(p), float(q)
        return 0.0, float(seconds.sum() / guesses.sum())


def _guess(pack: Pack) -> float:
    """Seconds an epoch of it was guessed to take."""
    return pack.work.seconds / pack.work.epochs


class TerminalProgress:
    """A bar that is redrawn on a terminal that can; elsewhere a line every half minute.

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
        self._last_report = time.monotonic()
        self._last_line = time.monotonic()
        self._live = console.is_terminal and not console.is_dumb_terminal
        text = _Live(self._text)
        self._bar = Bar(
            *((BarColumn(bar_width=24), text) if console.width >= WIDTH_OF_BAR else (text,)),
            console=console,
            transient=True,
            disable=not self._live,
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

    def planned(self, pack: Pack) -> None:
        """A pack was planned."""
        self._time_left.plan(pack)

    def ended(self, pack: Pack) -> None:
        """Nothing more comes of a pack: it was trained, or its worker died."""
        self._time_left.end(pack)

    def kept(self, rows: int) -> None:
        """So many rows were there without training."""
        self._done += rows
        self._show()

    def trained(self, pack: Pack, report: Report, counted: list[tuple[Outcome, list[Row]]]) -> None:
        """A worker reported of a pack, and each outcome's rows were counted."""
        self._last_report = time.monotonic()
        self._time_left.observe(pack, report)
        for outcome, rows in counted:
            self._done += len(rows)
            self._failed += outcome.status in ("failed", "timeout")
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
        if not self._live and now - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = now
            say(self._console, self._text())

    def _text(self) -> str:
        parts = [f"{self._done:,}/{self._trials:,} trials"]
        parts += [f"{strategy} best {value:.4f}" for strategy, value in sorted(self._best.items())]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        if self._done < self._trials:
            since = time.monotonic() - self._last_report
            left = self._time_left.seconds(self._workers, since)
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
