"""What the driver asks of a search strategy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tuning.space.grid import Row

CHUNK = 100_000  # points asked for at once, where all are


class Sampler(Protocol):
    """What the driver asks of any strategy; it knows nothing of Ray, Keras or files."""

    n_trials: int
    """How many points it will give in all."""

    def ask(self, n: int) -> list[int]:
        """The next points, as grid indices: at most `n`, and none once it has finished."""
        ...

    def tell(self, rows: Sequence[Row]) -> None:
        """Hear results of points asked for before, each as its row in the table, a dict.

        A row whose ``status`` is not ``ok`` may lack scores. Of points that the run had already,
        or another strategy had trained before, nothing is told.
        """
        ...


def every_point(sampler: Sampler) -> Iterator[int]:
    """All points of a sampler that needs to hear no results before it gives them."""
    while points := sampler.ask(CHUNK):
        yield from points
