"""A shard: the part of a search that one of several drivers trains."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tuning.errors import TuningError
from tuning.samplers.protocol import FINISHED, Sampler, Signal, every_trial
from tuning.trial import Trial


@dataclass(frozen=True)
class Shard:
    """One of so many equal parts of a search, counted from 1.

    Attributes
    ----------
    number, of : int
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that the command line means by ``3/16``.

        Raises
        ------
        TuningError
            For anything else than ``K/N`` with K from 1 to N.
        """
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise TuningError(f"--shard takes K/N with K from 1 to N, such as 3/16, not {text!r}")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """The name of its run's directory, in the one that the shards of a search share."""
        return f"shard-{self.number}-of-{self.of}"

    def has(self, place: int, places: int) -> bool:
        """Whether a position, counted from 0 among so many, belongs to this shard."""
        return place * self.of // places == self.number - 1


class ShardSampler(Sampler):
    """Those trials of a sampler that a shard has, in the sampler's order and by its numbers.

    Parameters
    ----------
    sampler : Sampler
        One that needs to hear no outcomes before it gives its trials.
    has : callable
        Whether the shard has a trial.

    Raises
    ------
    TuningError
        For a sampler that learns.
    """

    learns = False

    def __init__(self, sampler: Sampler, has: Callable[[Trial], bool]) -> None:
        if sampler.learns:
            raise TuningError(
                f"the strategy {sampler.name!r} learns from outcomes, so no shard of it can be "
                "trained alone"
            )
        self._trials = list(filter(has, every_trial(sampler)))
        self.n_trials = len(self._trials)
        self._asked = 0

    def ask(self, n: int) -> list[Trial] | Signal:
        """The next trials, at most `n`."""
        first, self._asked = self._asked, min(self._asked + n, self.n_trials)
        return self._trials[first : self._asked] or FINISHED
