"""Search strategies: which points of the grid to train, and in what order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuning.errors import TuningError, quoted
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

SETTINGS: dict[str, dict[str, type]] = {
    "random": {"trials": int},
    "sweep": {"points": str, "order": str},
}


def samplers_of(
    strategies: Mapping[str, Mapping[str, Any]], grid: Grid, seed: int
) -> dict[str, Sampler]:
    """The samplers of a run's strategies, by name.

    Parameters
    ----------
    strategies : mapping of str to mapping
        As the manifest has them: ``{"random": {"trials": 20}, "sweep": {"points": "1440", "order":
        "grid"}}``.
    grid : Grid
    seed : int
        Of the random draw.

    Raises
    ------
    TuningError
        For what no strategy takes.
    """
    samplers: dict[str, Sampler] = {}
    for name, settings in strategies.items():
        known = SETTINGS.get(name)
        if known is None:
            raise TuningError(f"there is no strategy {name!r}: take {' or '.join(SETTINGS)}")
        if set(settings) != set(known):
            raise TuningError(f"the strategy {name!r} takes {' and '.join(known)}")
        for key, kind in known.items():
            if type(settings[key]) is not kind:
                raise TuningError(f"{key} of the strategy {name!r} is {quoted(settings[key])}")
        sampler: Sampler | None
        if name == "random":
            sampler = RandomSampler(grid, settings["trials"], seed)
        else:
            sampler = parse_sweep(settings["points"], grid, settings["order"])
        if sampler:
            samplers[name] = sampler
    return samplers
