"""Random search: configurations drawn at random, none twice."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.errors import TuningError
from tuning.samplers.drawing import best_of, configuration_of
from tuning.samplers.protocol import FINISHED, Sampler, Signal, trial_of
from tuning.samplers.registry import register
from tuning.space.grid import Grid
from tuning.space.space import Configuration, Space
from tuning.trial import Outcome, Trial, point_of

ATTEMPTS = 100  # draws of what was drawn before, until what is left is listed
LISTED = 1000  # configurations of what is left, of which one is drawn


@register("random", title="random search")
class RandomSampler(Sampler):
    """Random sampling without replacement: of a grid uniform, else of each value on its scale.

    Of a grid, the points are the start of one seeded shuffle of the whole, of which only what was
    drawn is kept in memory. Of another space, draw k is made with a random state of its own, of
    the seed and k; one that was drawn before is drawn again. So a longer search with the same seed
    begins with the shorter one's configurations, and every trial depends on the seed and its
    number alone.

    Source: Bergstra & Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012);
    the shuffle is Fisher & Yates' in Durstenfeld's form (CACM 7, 1964), its array kept as a dict
    of the places that differ from the identity.

    Parameters
    ----------
    space : Space
    trials : int
        How many configurations to draw, from 0 to the size of the space.
    seed : int
        Of the draw, and of every training.
    start : sequence of dict
        Configurations to try first; they count among the trials.
    trajectories : bool
        Whether to draw all but ``epochs``: each of the `trials` draws is trained for the most
        epochs there are, and is a trial for each other number of epochs as well. These shorter
        trainings cost nothing where a longer one passes through them.

    Raises
    ------
    TuningError
        For more configurations than the space has, a start that is not in it, or trajectories
        where no number of epochs is searched.

    Examples
    --------
    >>> sampler = RandomSampler(Grid({"units": [64, 128, 256]}), trials=3, seed=0)
    >>> sorted(trial.index for trial in sampler.ask(10)), sampler.ask(10).name
    ([0, 1, 2], 'FINISHED')
    """

    learns = False

    def __init__(
        self,
        space: Space,
        trials: int,
        seed: int,
        start: Sequence[Mapping[str, Any]] = (),
        trajectories: bool = False,
    ) -> None:
        self._space, self._seed = space, seed
        self._lengths = _lengths(space) if trajectories else []
        drawn_from = _without_epochs(space) if trajectories else space
        size = drawn_from.size
        if not 0 <= trials <= size:
            of = "grid" if isinstance(space, Grid) else "space"
            most = f" to {size:,}, the {of}'s size" if size < math.inf else ""
            raise TuningError(
                f"cannot draw {trials:,} random configurations: take a number from 0{most}"
            )
        started = [self._own_part(configuration_of(space, each)) for each in start]
        self._start = list({point_of(each): each for each in started}.values())
        if len(self._start) > trials:
            raise TuningError(
                f"there are {len(self._start):,} configurations to start with, and only "
                f"{trials:,} trials"
            )
        self.n_trials = trials * max(1, len(self._lengths))
        self._n_draws = trials
        self._asked = 0
        draws = _Shuffled if isinstance(drawn_from, Grid) else _Drawn
        self._draws: _Shuffled | _Drawn = draws(drawn_from, seed)  # type: ignore[arg-type]
        self._last: tuple[int, Configuration] = (-1, {})

    def ask(self, n: int) -> list[Trial] | Signal:
        """The next trials, at most `n`."""
        numbers = range(self._asked, min(self._asked + n, self.n_trials))
        self._asked = numbers.stop
        return [self._trial(number) for number in numbers] or FINISHED

    def recall(self, outcomes: Sequence[Outcome]) -> None:
        """Try the best configurations of an earlier run first."""

        def key(configuration: Mapping[str, Any]) -> str:
            return point_of(self._own_part(dict(configuration)))

        found = [self._own_part(each) for each in best_of(outcomes, key)]
        new = [each for each in found if each not in self._start]
        self._start = [*self._start, *new][: self._n_draws]

    def begins_with(self, other: Sampler) -> bool:
        """Whether the other draws the same with fewer trials."""
        return (
            isinstance(other, RandomSampler)
            and (self._start, self._lengths) == (other._start, other._lengths)
            and self.n_trials >= other.n_trials
        )

    def describe(self) -> str:
        """Such as ``20 random configurations``."""
        n = self._n_draws
        each = f", each for {len(self._lengths):,} numbers of epochs" if self._lengths else ""
        return f"{n:,} random configuration{'s' if n != 1 else ''}{each}"

    def _trial(self, number: int) -> Trial:
        """The trial of a number; called for each in order from 0."""
        if not self._lengths:
            return trial_of(self._space, self._next(number), number, self._seed)
        draw, place = divmod(number, len(self._lengths))
        if place == 0:
            self._last = draw, self._next(draw)
        whole = {**self._last[1], "epochs": self._lengths[place]}
        ordered = {name: whole[name] for name in self._space.parameters if name in whole}
        return trial_of(self._space, ordered, number, self._seed)

    def _next(self, draw: int) -> Configuration:
        """The next configuration to start with, or the next draw that is none."""
        if draw < len(self._start):
            return self._start[draw]
        while (found := self._draws.next(draw)) in self._start:
            pass
        return found

    def _own_part(self, configuration: Configuration) -> Configuration:
        """The part of a configuration that is drawn."""
        if not self._lengths:
            return configuration
        return {name: value for name, value in configuration.items() if name != "epochs"}


class _Shuffled:
    """The points of a grid in the order of a seeded shuffle."""

    def __init__(self, grid: Grid, seed: int) -> None:
        self._grid = grid
        self._random = random.Random(seed)
        self._drawn = 0
        self._moved: dict[int, int] = {}

    def next(self, draw: int) -> Configuration:
        """The next point, whatever its number."""
        place = self._random.randrange(self._drawn, self._grid.size)
        point = self._moved.get(place, place)
        self._moved[place] = self._moved.pop(self._drawn, self._drawn)
        self._drawn += 1
        return self._grid[point]


class _Drawn:
    """Configurations of any space, none twice."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._known: set[str] = set()

    def next(self, draw: int) -> Configuration:
        """Another configuration than all before, which depends on them, the seed and a number."""
        endless = self._space.size == math.inf
        for attempt in itertools.count() if endless else range(ATTEMPTS):
            found = self._space.draw(random.Random(f"{self._seed} {draw} {attempt}"))
            if self._is_new(found):
                return found
        left = (each for each in self._space.all() if point_of(each) not in self._known)
        some = list(itertools.islice(left, LISTED))
        found = random.Random(f"{self._seed} {draw}").choice(some)
        self._known.add(point_of(found))
        return found

    def _is_new(self, configuration: Configuration) -> bool:
        point = point_of(configuration)
        new = point not in self._known
        self._known.add(point)
        return new


def _lengths(space: Space) -> list[int]:
    """The numbers of epochs that a space has, the most first."""
    parameter = space.parameters.get("epochs")
    if parameter is None or parameter.conditions or len(parameter.values or ()) < 2:
        raise TuningError(
            "random search over trajectories needs several values of epochs, in all configurations"
        )
    return sorted(parameter.values or (), reverse=True)


def _without_epochs(space: Space) -> Space:
    others = {name: each for name, each in space.parameters.items() if name != "epochs"}
    if isinstance(space, Grid):
        return Grid({name: each.values or () for name, each in others.items()})
    return Space(others)
