"""Progress in a notebook: one line of HTML that is replaced, in the output of the cell."""

from __future__ import annotations

import html
import importlib
import sys
import time
from types import TracebackType
from typing import Any

from tuning.callbacks.counting import CountingProgress
from tuning.problem.problem import Mode

EVERY_SECONDS = 0.25


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class NotebookProgress(CountingProgress):
    """A bar and a line of text below the cell; it needs IPython, and no widgets.

    Parameters
    ----------
    trials : int
        How many rows the run will have.
    workers : int
    metric : str
    mode : {"max", "min"}
    """

    def __init__(self, trials: int, *, workers: int, metric: str, mode: Mode) -> None:
        super().__init__(trials, workers=workers, metric=metric, mode=mode)
        self._handle: Any = None
        self._last_shown = 0.0

    def __enter__(self) -> NotebookProgress:
        display: Any = importlib.import_module("IPython.display").display
        self._handle = display(self, display_id=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.update(self)

    def show(self) -> None:
        """Replace what is shown, if that is not of just now."""
        now = time.monotonic()
        if self._handle is not None and now - self._last_shown >= EVERY_SECONDS:
            self._last_shown = now
            self._handle.update(self)

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.share:.3f}" max="1"></progress>'
        return f"{bar} {html.escape(self.text())}"

    def __repr__(self) -> str:
        return self.text()
