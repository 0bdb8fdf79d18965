"""Random search: points drawn uniformly, none twice."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.errors import TuningError
from tuning.samplers.protocol import FixedSampler, Sampler
from tuning.samplers.registry import register
from tuning.space.grid import Grid


@register("random", title="random search")
class RandomSampler(FixedSampler):
    """Uniform sampling of the grid without replacement.

    The points are the start of one seeded shuffle of the whole grid, of which only what was drawn
    is kept in memory: a longer search with the same seed begins with the shorter one's points.
    Every trial depends on the seed and its number alone.

    Source: Bergstra & Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012);
    the shuffle is Fisher & Yates' in Durstenfeld's form (CACM 7, 1964), its array kept as a dict
    of the places that differ from the identity.

    Parameters
    ----------
    space : Grid
    trials : int
        How many points to draw, from 0 to the grid's size.
    seed : int
        Of the draw, and of every training.
    start : sequence of dict
        Configurations to try first; they count among the trials.

    Raises
    ------
    TuningError
        For more points than the grid has, or a start that is not in it.

    Examples
    --------
    >>> sampler = RandomSampler(Grid({"units": [64, 128, 256]}), trials=3, seed=0)
    >>> sorted(trial.index for trial in sampler.ask(10)), sampler.ask(10).name
    ([0, 1, 2], 'FINISHED')
    """

    def __init__(
        self,
        space: Grid,
        trials: int,
        seed: int,
        start: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        if not 0 <= trials <= space.size:
            raise TuningError(
                f"cannot draw {trials:,} random configurations: take a number from 0 to "
                f"{space.size:,}, the grid's size"
            )
        super().__init__(space, trials, seed)
        self._drawn = 0
        self._moved: dict[int, int] = {}
        self._random = random.Random(seed)
        self._start = list(dict.fromkeys(space.index(configuration) for configuration in start))
        if len(self._start) > trials:
            raise TuningError(
                f"there are {len(self._start):,} configurations to start with, and only "
                f"{trials:,} trials"
            )

    def next_index(self, number: int) -> int:
        """The next configuration to start with, or the next of the shuffle that is none."""
        if number < len(self._start):
            return self._start[number]
        while (point := self._draw()) in self._start:
            pass
        return point

    def begins_with(self, other: Sampler) -> bool:
        """Whether the other draws the same with fewer trials."""
        same = isinstance(other, RandomSampler) and self._start == other._start
        return same and self.n_trials >= other.n_trials

    def describe(self) -> str:
        """Such as ``20 random configurations``."""
        return f"{self.n_trials:,} random configuration{'s' if self.n_trials != 1 else ''}"

    def _draw(self) -> int:
        place = self._random.randrange(self._drawn, self._space.size)
        point = self._moved.get(place, place)
        self._moved[place] = self._moved.pop(self._drawn, self._drawn)
        self._drawn += 1
        return point
