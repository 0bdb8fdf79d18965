"""Searches over a table of results, which takes the place of training: thousands in seconds."""

from __future__ import annotations

import random
import runpy
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.compare import best_so_far
from tuning.analysis.grid_scores import GridScores
from tuning.errors import TuningError, first_line
from tuning.execution.loop import search
from tuning.execution.table import Costs, Memory, OnTable, TableExecutor, packing_of
from tuning.packing.axes import UNPACKED, Packing
from tuning.runs.outcomes import outcomes_of
from tuning.samplers import FixedSampler, RandomSampler, Sampler, strategies, strategy
from tuning.samplers.protocol import LOSS, Goal
from tuning.space.grid import Grid
from tuning.trial import Outcome

MakeSampler = Callable[[GridScores, int, int], Sampler]
"""From a table, a number of trials and a seed."""


class _Listed(FixedSampler):
    """A sampler of the given grid points, one after another."""

    def __init__(self, space: Grid, indices: Sequence[int], seed: int) -> None:
        super().__init__(space, len(indices), seed)
        self._indices = indices

    def next_index(self, number: int) -> int:
        """The points in their order."""
        return self._indices[number]


def _random(scores: GridScores, trials: int, seed: int) -> Sampler:
    if scores.is_whole:
        return RandomSampler(scores.grid, trials, seed)
    known = scores.trials.index.tolist()
    return _Listed(scores.grid, random.Random(seed).sample(known, trials), seed)


def _sweep(scores: GridScores, trials: int, seed: int) -> Sampler:
    return _Listed(scores.grid, scores.trials.index.tolist()[:trials], seed)


def _spaced(scores: GridScores, trials: int, seed: int) -> Sampler:
    known = scores.trials.index.tolist()
    return _Listed(scores.grid, [known[i * len(known) // trials] for i in range(trials)], seed)


SAMPLERS: dict[str, MakeSampler] = {"random": _random, "sweep": _sweep, "spaced": _spaced}
"""Samplers of a table, which may be of a part of the grid: random, in grid order, evenly spaced."""


def replay(
    sampler: Sampler,
    table: Mapping[Hashable, Outcome],
    trials: int,
    workers: int = 1,
    *,
    packing: Packing = UNPACKED,
    goal: Goal = LOSS,
) -> tuple[list[Outcome], float]:
    """Run one search over a table, by the loop that trains.

    Parameters
    ----------
    sampler : Sampler
    table : mapping
        By `Trial.point`. What it does not have is passed over, and the sampler not told of it; of a
        sampler that decides by jobs it has to have all.
    trials : int
        After how many it ends, if the sampler does not end before; one that decides by jobs ends
        by itself.
    workers : int
        That answer at once.
    packing : Packing
        How configurations share programs, for a sampler that decides by jobs.
    goal : Goal
        What the sampler is to make better.

    Returns
    -------
    list of Outcome
        In the order they were asked for.
    float
        The seconds it would have taken.

    Raises
    ------
    TuningError
        If the sampler raises, gives what is no trial, or keeps asking for what is not there.
    """
    if sampler.ahead:
        executor = TableExecutor(table, workers, packing=packing, costs=Costs())
        own = sampler
    else:
        executor = TableExecutor(table, workers)
        own = OnTable(sampler, table, trials)
    memory = Memory()
    search({"replay": own}, executor, memory, executor.packer, goal=goal)
    found = sorted((each for _, each in memory.counted), key=lambda each: each.trial.number)
    return found, executor.clock


def replays(
    scores: GridScores,
    make: MakeSampler,
    trials: int,
    seeds: Sequence[int],
    workers: int = 1,
    *,
    curves: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Run a search over a table once for each seed.

    Parameters
    ----------
    scores : GridScores
    make : callable
        Gives the sampler, from table, number of trials and seed.
    trials : int
    seeds : sequence of int
        One search each.
    workers : int
        As for `replay`.
    curves : DataFrame, optional
        Of `tuning.load_curves`, for samplers that stop trainings before their end.

    Returns
    -------
    DataFrame
        One row a search: ``seed``, ``trials`` (answered, without those stopped before their end),
        the metric and the test metric of what it chose, ``index`` (its place in the grid),
        ``rank`` (among all in the table, 1 the best; equals have the same), ``cpu_seconds``.
        Without a result, the scores are NaN and the index is -1.

    Raises
    ------
    TuningError
        As `replay`, or what `make` raises.
    """
    rows = scores.trials.rename_axis("index").reset_index()
    table: dict[Hashable, Outcome] = {
        each.trial.point: each for each in outcomes_of(rows, scores.manifest, curves)
    }
    packing = packing_of(scores.manifest.packing or {})
    goal = Goal(scores.metric, scores.mode)
    places: dict[Any, int] = {int(index): i for i, index in enumerate(scores.trials.index)}
    nothing = [np.nan] * len(scores.score_names)
    found = []
    for seed in seeds:
        sampler = make(scores, trials, seed)
        if sampler.ahead and not scores.is_whole:
            raise TuningError(
                f"the strategy {sampler.name!r} chooses what to train together, so it needs a "
                "table of the whole grid"
            )
        outcomes, _ = replay(sampler, table, trials, workers, packing=packing, goal=goal)
        whole = [each for each in outcomes if each.status != "stopped"]
        asked = np.array([places[outcome.trial.point] for outcome in whole], dtype=int)
        best = best_so_far(scores.values[asked], scores.mode)
        spent = sum(outcome.seconds for outcome in outcomes)
        if len(best) == 0 or best[-1] < 0:
            found.append((seed, len(asked), *nothing, -1, np.nan, spent))
            continue
        place = asked[best[-1]]
        index = int(scores.trials.index[place])
        reached = [scores.values[place], *([] if scores.tests is None else [scores.tests[place]])]
        found.append((seed, len(asked), *reached, index, scores.ranks[place], spent))
    names = ["seed", "trials", *scores.score_names, "index", "rank", "cpu_seconds"]
    return pd.DataFrame(found, columns=names)


def find_sampler(text: str) -> MakeSampler:
    """Find a built-in sampler by its name, or a user's class as ``FILE.py:NAME``.

    The class is called with the grid, the number of trials and a seed; what is returned raises
    TuningError if that fails.

    Raises
    ------
    TuningError
        If there is none, or the file does not run.
    """
    if text in SAMPLERS:
        return SAMPLERS[text]
    if text in strategies():
        return lambda scores, trials, seed: strategy(text).from_settings(
            scores.grid, seed, {"trials": trials}
        )
    file, colon, name = text.rpartition(":")
    if not colon:
        raise TuningError(
            f"there is no sampler {text!r}: take {', '.join({**SAMPLERS, **strategies()})}, or "
            "FILE.py:CLASS"
        )
    if not Path(file).is_file():
        raise TuningError(f"there is no file {file} to take the sampler {name} from")
    sys.path.append(str(Path(file).absolute().parent))  # it may import what stands beside it
    try:
        names = runpy.run_path(file)
    except (Exception, SystemExit) as error:
        raise TuningError(f"the sampler's file {file} does not run: {first_line(error)}") from error
    if name not in names:
        raise TuningError(f"{file} has no class {name!r} to take as the sampler")

    def make(scores: GridScores, trials: int, seed: int) -> Sampler:
        try:
            sampler: Sampler = names[name](scores.grid, trials, seed)
        except (Exception, SystemExit) as error:
            raise TuningError(f"the sampler {text} cannot be made: {first_line(error)}") from error
        return sampler

    return make
