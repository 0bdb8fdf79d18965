"""What does a trial cost the driver, its training apart?

The built-in grid's 43,200 trials, which workers answer without training, in packs and one by one.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator

from benchmarks.measuring import PROBLEM, Measurement, apart
from benchmarks.searching import seconds_of_nothing

MINUTES, ROUNDS = 2, 3


def measure(smallest: bool) -> Iterator[Measurement]:
    """Milliseconds a trial, and the most memory the driver had."""
    n = 500 if smallest else 43_200
    for who, packed in (("in packs", True), ("one by one", False)):
        seconds, megabytes = apart(searched, PROBLEM, packed, n)
        yield Measurement(who, "a trial", seconds / n * 1e3, "ms")
        yield Measurement(who, "memory", megabytes, "MB")


def searched(problem: str, packed: bool, trials: int | None = None) -> tuple[float, float]:
    """Seconds to search trials that train nothing, and the most memory in MB that it took."""
    seconds = seconds_of_nothing(problem, packed, trials)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
