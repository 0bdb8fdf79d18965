"""The sweep: points of the grid in its own order, all of them or a part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tuning.errors import TuningError, quoted
from tuning.samplers.protocol import FixedSampler, Sampler
from tuning.samplers.registry import register
from tuning.space.given import as_grid
from tuning.space.grid import Grid
from tuning.space.space import Space


@register("sweep")
class SweepSampler(FixedSampler):
    """Every point of a contiguous range of the grid, or some of it, evenly spaced.

    Every trial depends on its number alone.

    Parameters
    ----------
    space : Grid
    start, stop : int
        The range ``start:stop`` of grid indices; the whole grid unless told.
    trials : int, optional
        Take only this many points of the range, evenly spaced: the i-th (from 0) is
        ``start + floor(i * (stop - start) / trials)``. All of them unless told.
    seed : int
        Of every training.

    Raises
    ------
    TuningError
        For a space that is no grid, a range that is empty or leaves the grid, or more points than
        the range has.

    Examples
    --------
    >>> grid = Grid({"units": [64, 128, 256], "rate": [0.0, 0.5]})
    >>> [trial.index for trial in SweepSampler(grid, 2, 5).ask(10)]
    [2, 3, 4]
    >>> [trial.index for trial in SweepSampler(grid, trials=3).ask(10)]
    [0, 2, 4]
    """

    def __init__(
        self,
        space: Grid,
        start: int = 0,
        stop: int | None = None,
        trials: int | None = None,
        seed: int = 0,
    ) -> None:
        as_grid(space, "a sweep")
        stop = space.size if stop is None else stop
        if not 0 <= start < stop <= space.size:
            raise TuningError(
                f"cannot sweep {start:,}:{stop:,}: a range A:B of this grid has "
                f"0 <= A < B <= {space.size:,}"
            )
        self._start = start
        self._length = stop - start
        self._is_spaced = trials is not None
        trials = self._length if trials is None else trials
        if not 0 < trials <= self._length:
            raise TuningError(f"cannot sweep {trials:,} configurations: there are {self._length:,}")
        super().__init__(space, trials, seed)

    @classmethod
    def from_settings(cls, space: Space, seed: int, settings: Mapping[str, Any]) -> SweepSampler:
        """The sweep of ``points`` (N, ``A:B`` or ``all``) in ``order`` (grid or spaced).

        Raises
        ------
        TuningError
            For anything else.
        """
        points, order = settings.get("points"), settings.get("order", "grid")
        if not isinstance(points, str) or set(settings) > {"points", "order"}:
            raise TuningError(f"a sweep's settings are points and order, not {quoted(settings)}")
        grid = as_grid(space, "a sweep")
        return cls(grid, seed=seed, **_range(points, grid, order))

    def next_index(self, number: int) -> int:
        """The points in order."""
        return self._start + number * self._length // self.n_trials

    def begins_with(self, other: Sampler) -> bool:
        """Whether the other is the beginning of its range."""
        if not isinstance(other, SweepSampler) or self._start != other._start:
            return False
        if self._is_spaced or other._is_spaced:
            return (self._length, self.n_trials) == (other._length, other.n_trials)
        return self.n_trials >= other.n_trials

    def describe(self) -> str:
        """Such as ``a sweep of the first 1,440 in grid order``."""
        if self._length == self.n_trials == self._space.size:
            which = "all"
        elif self._is_spaced:
            which = f"{self.n_trials:,} evenly spaced"
        elif self._start:
            which = f"{self._start}:{self._start + self._length}"
        else:
            which = f"the first {self.n_trials:,}"
        return f"a sweep of {which} in grid order"


def _range(points: str, space: Grid, order: str) -> dict[str, int]:
    """The arguments of a sweep that the command line's text means."""
    if order not in ("grid", "spaced"):
        raise TuningError(f"--sweep-order takes grid or spaced, not {order!r}")
    if points == "all":
        return {}
    if re.fullmatch(r"[0-9]+", points):
        n = int(points)
        if not 0 < n <= space.size:
            raise TuningError(f"cannot sweep {n:,} configurations: the grid has {space.size:,}")
        return {"trials": n} if order == "spaced" else {"stop": n}
    if bounds := re.fullmatch(r"([0-9]+):([0-9]+)", points):
        if order == "spaced":
            raise TuningError(f"--sweep-order spaced takes a number of points, not {points!r}")
        return {"start": int(bounds[1]), "stop": int(bounds[2])}
    raise TuningError(f"--sweep takes a number N, a range A:B or all, not {points!r}")
