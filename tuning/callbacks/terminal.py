"""Progress on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

from tuning.callbacks.counting import CountingProgress
from tuning.problem.problem import Mode
from tuning.report.terminal import say

LINE_EVERY_SECONDS = 30.0  # where there is no terminal to redraw
WIDTH_OF_BAR = 80  # characters that a line needs to have room for a bar


class TerminalProgress(CountingProgress):
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
        super().__init__(trials, workers=workers, metric=metric, mode=mode)
        self._console = console
        self._last_line = time.monotonic()
        self._live = console.is_terminal and not console.is_dumb_terminal
        text = _Live(self.text)
        self._bar = Bar(
            *((BarColumn(bar_width=24), text) if console.width >= WIDTH_OF_BAR else (text,)),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", total=1.0)

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

    def show(self) -> None:
        """Redraw the bar, or print a line if the last one is old."""
        self._bar.update(self._task, completed=self.share)
        now = time.monotonic()
        if not self._live and now - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = now
            say(self._console, self.text())


class _Live(ProgressColumn):
    """Text that is made anew whenever the bar is drawn: the time left runs between trials."""

    def __init__(self, text: Callable[[], str]) -> None:
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(self._text())
