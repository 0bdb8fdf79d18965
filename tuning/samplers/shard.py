"""A shard: the part of a search that one of several drivers trains."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuning.errors import TuningError
from tuning.samplers.protocol import Sampler, every_point
from tuning.space.grid import Row


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
        """Whether it is what stands at a place, counted from 0, of so many."""
        return place * self.of // places == self.number - 1


class ShardSampler:
    """Those points of a sampler that a shard has, in the sampler's order.

    Parameters
    ----------
    sampler : Sampler
        One that needs to hear no results before it gives its points.
    has : callable
        Whether the shard has a point, given by its grid index.
    """

    def __init__(self, sampler: Sampler, has: Callable[[int], bool]) -> None:
        self._points = list(filter(has, every_point(sampler)))
        self.n_trials = len(self._points)
        self._asked = 0

    def ask(self, n: int) -> list[int]:
        """The next points, at most `n`."""
        first, self._asked = self._asked, min(self._asked + n, self.n_trials)
        return self._points[first : self._asked]

    def tell(self, rows: Sequence[Row]) -> None:
        """Nothing: it was asked for all its points at once."""
