"""Random search: points drawn uniformly, none twice."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tuning.errors import TuningError
from tuning.space.grid import Grid, Row


class RandomSampler:
    """Uniform sampling of the grid without replacement.

    The points are the start of one seeded shuffle of the whole grid, of which only what was drawn
    is kept in memory: a longer search with the same seed begins with the shorter one's points.

    Source: Bergstra & Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012);
    the shuffle is Fisher & Yates' in Durstenfeld's form (CACM 7, 1964), its array kept as a dict
    of the places that differ from the identity.

    Parameters
    ----------
    grid : Grid
    n_trials : int
        How many points to draw, from 0 to the grid's size.
    seed : int

    Raises
    ------
    TuningError
        For more points than the grid has.

    Examples
    --------
    >>> sampler = RandomSampler(Grid({"units": [64, 128, 256]}), n_trials=3, seed=0)
    >>> sorted(sampler.ask(10)), sampler.ask(10)
    ([0, 1, 2], [])
    """

    def __init__(self, grid: Grid, n_trials: int, seed: int) -> None:
        if not 0 <= n_trials <= grid.size:
            raise TuningError(
                f"cannot draw {n_trials:,} random configurations: take a number from 0 to "
                f"{grid.size:,}, the grid's size"
            )
        self.n_trials = n_trials
        self._size = grid.size
        self._drawn = 0
        self._moved: dict[int, int] = {}
        self._random = random.Random(seed)

    def ask(self, n: int) -> list[int]:
        """The next points of the shuffle, at most `n`."""
        return [self._draw() for _ in range(min(n, self.n_trials - self._drawn))]

    def tell(self, rows: Sequence[Row]) -> None:
        """Nothing: random search does not learn."""

    def _draw(self) -> int:
        place = self._random.randrange(self._drawn, self._size)
        point = self._moved.get(place, place)
        self._moved[place] = self._moved.pop(self._drawn, self._drawn)
        self._drawn += 1
        return point
