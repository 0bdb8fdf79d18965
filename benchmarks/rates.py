"""How many configurations a second does a long sweep train, beside scikit-learn?

Of 1,440 configurations in grid order: the first, with widths 64 and 128, SGD and batches of 16; and
those in the middle, with widths 256, RMSprop, and 64, Adagrad, and batches of 64. `tuning` trains
all of them. scikit-learn, the fastest peer from a cold start, trains a sample, its time without
start-up being the difference of two runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measuring import WORKERS, Measurement, apart
from benchmarks.peers import installed, seconds_of_peer
from benchmarks.searching import seconds_to_sweep

MINUTES, ROUNDS = 9, 3
COMPARED_WITH = "scikit-learn"
BLOCKS = {"first 1,440": range(1_440), "middle 1,440": range(20_880, 22_320)}
SAMPLE = (2, 10)  # configurations of a peer's two runs
UNIT = "configurations/s"


def measure(smallest: bool) -> Iterator[Measurement]:
    """Rates of each block; at the smallest of 48 configurations."""
    blocks = {"first 48": range(48)} if smallest else BLOCKS
    for where, block in blocks.items():
        seconds = apart(seconds_to_sweep, block.start, block.stop, WORKERS)
        yield Measurement("tuning", where, len(block) / seconds, UNIT)
        for name in installed("scikit-learn"):
            few, more = ([block[i * len(block) // n] for i in range(n)] for n in SAMPLE)
            seconds = seconds_of_peer(name, more) - seconds_of_peer(name, few)
            yield Measurement(name, where, (len(more) - len(few)) / seconds, UNIT)
