"""Search strategies: which points of the grid to train, and in what order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuning.samplers.protocol import Sampler, every_point
from tuning.samplers.random import RandomSampler
from tuning.samplers.shard import Shard, ShardSampler
from tuning.samplers.sweep import SweepSampler, parse_sweep
from tuning.space.grid import Grid

__all__ = [
    "RandomSampler",
    "Sampler",
    "Shard",
    "ShardSampler",
    "SweepSampler",
    "every_point",
    "parse_sweep",
    "samplers_of",
]


def samplers_of(search: Mapping[str, Any], grid: Grid, seed: int) -> dict[str, Sampler]:
    """The strategies of a search, by name.

    Parameters
    ----------
    search : mapping
        As the manifest has it: ``random``, ``sweep``, ``sweep_order``.
    grid : Grid
    seed : int
        Of the random draw.

    Raises
    ------
    TuningError
        For what no strategy takes.
    """
    samplers: dict[str, Sampler] = {}
    if search["random"] != 0:
        samplers["random"] = RandomSampler(grid, search["random"], seed)
    if sweep := parse_sweep(search["sweep"], grid, search["sweep_order"]):
        samplers["sweep"] = sweep
    return samplers
