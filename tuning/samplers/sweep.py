"""The sweep: points of the grid in its own order, all of them or a part."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tuning.errors import TuningError
from tuning.space.grid import Grid, Row


class SweepSampler:
    """Every point of a contiguous range of the grid, or some of it, evenly spaced.

    Parameters
    ----------
    grid : Grid
    start, stop : int
        The range ``start:stop`` of grid indices; the whole grid unless told.
    n_trials : int, optional
        Take only this many points of the range, evenly spaced: the i-th (from 0) is
        ``start + floor(i * (stop - start) / n_trials)``. All of them unless told.

    Raises
    ------
    TuningError
        For a range that is empty or leaves the grid, or more points than the range has.

    Examples
    --------
    >>> grid = Grid({"units": [64, 128, 256], "rate": [0.0, 0.5]})
    >>> SweepSampler(grid, 2, 5).ask(10)
    [2, 3, 4]
    >>> SweepSampler(grid, n_trials=3).ask(10)
    [0, 2, 4]
    """

    def __init__(
        self, grid: Grid, start: int = 0, stop: int | None = None, n_trials: int | None = None
    ) -> None:
        stop = grid.size if stop is None else stop
        if not 0 <= start < stop <= grid.size:
            raise TuningError(
                f"cannot sweep {start:,}:{stop:,}: a range A:B of this grid has "
                f"0 <= A < B <= {grid.size:,}"
            )
        self._start = start
        self._length = stop - start
        self.n_trials = self._length if n_trials is None else n_trials
        if not 0 < self.n_trials <= self._length:
            raise TuningError(
                f"cannot sweep {self.n_trials:,} configurations: there are {self._length:,}"
            )
        self._asked = 0

    def ask(self, n: int) -> list[int]:
        """The next points in order, at most `n`."""
        first, self._asked = self._asked, min(self._asked + n, self.n_trials)
        return [self._start + i * self._length // self.n_trials for i in range(first, self._asked)]

    def tell(self, rows: Sequence[Row]) -> None:
        """Nothing: a sweep does not learn."""


def parse_sweep(text: str, grid: Grid, order: str = "grid") -> SweepSampler | None:
    """The sweep that the command line asks for.

    Parameters
    ----------
    text : str
        ``N`` (the first N points, or N evenly spaced), ``A:B``, ``all``, or ``0`` for none.
    grid : Grid
    order : {"grid", "spaced"}
        What ``N`` means.

    Returns
    -------
    SweepSampler or None
        None for ``0``.

    Raises
    ------
    TuningError
        For anything else.
    """
    if text == "all":
        return SweepSampler(grid)
    if re.fullmatch(r"[0-9]+", text):
        n = int(text)
        if n == 0:
            return None
        if n > grid.size:
            raise TuningError(f"cannot sweep {n:,} configurations: the grid has {grid.size:,}")
        return SweepSampler(grid, n_trials=n) if order == "spaced" else SweepSampler(grid, 0, n)
    if bounds := re.fullmatch(r"([0-9]+):([0-9]+)", text):
        if order == "spaced":
            raise TuningError(f"--sweep-order spaced takes a number of points, not {text!r}")
        return SweepSampler(grid, int(bounds[1]), int(bounds[2]))
    raise TuningError(f"--sweep takes a number N, a range A:B or all, not {text!r}")
