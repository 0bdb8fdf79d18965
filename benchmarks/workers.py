"""How much faster are two workers than one?

Seconds to train 720 configurations of width 64 with Adagrad, start-up left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measuring import Measurement, apart
from benchmarks.searching import seconds_to_sweep

MINUTES, ROUNDS = 3, 3
COMPARED_WITH = "2 workers"
START, STOP = 30_240, 30_960  # batches of 128


def measure(smallest: bool) -> Iterator[Measurement]:
    """Seconds with each number of workers."""
    stop = START + 24 if smallest else STOP
    for who, workers in (("1 worker", 1), ("2 workers", 2)):
        seconds = apart(seconds_to_sweep, START, stop, workers)
        yield Measurement(who, f"{stop - START} configurations", seconds, "s")
