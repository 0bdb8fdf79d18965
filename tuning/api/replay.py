"""Searches run over a table of results in place of training: thousands in seconds."""

from __future__ import annotations

import random
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tuning.analysis.compare import best_so_far
from tuning.analysis.grid_scores import Landscape
from tuning.errors import TuningError, first_line
from tuning.runs.run import row_of
from tuning.samplers import RandomSampler, Sampler
from tuning.space.grid import Row
from tuning.trial import Outcome, Trial, epochs

MakeSampler = Callable[[Landscape, int, int], Sampler]
"""From a table, a number of trials and a seed."""
PATIENCE = 10_000  # trials in a row that the table does not have


class TableTrainer:
    """Answers from a table what `tuning.execution.driver.Driver` would train.

    Parameters
    ----------
    land : Landscape
        Of the whole grid, or of a part of it.

    Examples
    --------
    >>> trainer = TableTrainer(landscape(load_results(path), manifest))  # doctest: +SKIP
    >>> trainer.train([0, 17])[1].metrics["val_accuracy"]  # doctest: +SKIP
    0.9791
    """

    def __init__(self, land: Landscape) -> None:
        self._grid = land.grid
        self._places = {int(index): i for i, index in enumerate(land.trials.index)}
        self._columns = {str(name): land.trials[name].tolist() for name in land.trials}
        metrics = land.manifest.metrics
        self._scores = [f"{split}_{name}" for split in ("val", "test", "train") for name in metrics]

    def __contains__(self, index: object) -> bool:
        return index in self._places

    def train(self, indices: Sequence[int]) -> list[Outcome]:
        """The outcomes of these configurations, in the same order, as `Driver.train` returns them.

        Raises
        ------
        TuningError
            For a configuration that the table does not have.
        """
        return [self._outcome(index) for index in indices]

    def _outcome(self, index: int) -> Outcome:
        if index not in self._places:
            run = self._columns["run"][0]
            raise TuningError(f"the table of run {run} has no configuration {index:,}")
        place, of = self._places[index], self._columns
        ok = of["status"][place] == "ok"
        configuration = self._grid[index]
        trial = Trial(
            of["trial"][place], configuration, of["seed"][place], epochs(configuration), index
        )
        seconds = of["train_seconds"][place]
        return Outcome(
            trial,
            of["status"][place],
            of["engine"][place],
            of["backend"][place],
            metrics={name: of[name][place] for name in self._scores} if ok else {},
            seconds=0.0 if np.isnan(seconds) else seconds,
            error="" if ok else str(of["error"][place]),
            worker=of["worker"][place],
            finished_at=of["finished_at"][place],
        )


class _Listed:
    """Gives these trials, one after another."""

    def __init__(self, trials: Sequence[int]) -> None:
        self.n_trials = len(trials)
        self._left = iter(trials)

    def ask(self, n: int) -> list[int]:
        return [trial for _, trial in zip(range(n), self._left, strict=False)]

    def tell(self, rows: Sequence[Row]) -> None:
        """Nothing: the list is given."""


def _random(land: Landscape, trials: int, seed: int) -> Sampler:
    if land.whole:
        return RandomSampler(land.grid, trials, seed)
    return _Listed(random.Random(seed).sample(land.trials.index.tolist(), trials))


def _sweep(land: Landscape, trials: int, seed: int) -> Sampler:
    return _Listed(land.trials.index.tolist()[:trials])


def _spaced(land: Landscape, trials: int, seed: int) -> Sampler:
    known = land.trials.index.tolist()
    return _Listed([known[i * len(known) // trials] for i in range(trials)])


SAMPLERS: dict[str, MakeSampler] = {"random": _random, "sweep": _sweep, "spaced": _spaced}
"""Of a part of the grid, they search that part: at random, in grid order, or evenly spaced."""


def replay(
    sampler: Sampler, land: Landscape, trainer: TableTrainer, trials: int, at_once: int = 1
) -> list[Outcome]:
    """Run one search over the table.

    What the sampler asks for and the table does not have is passed over, and it is not told of it.

    Parameters
    ----------
    sampler : Sampler
    land : Landscape
    trainer : TableTrainer
        Of the landscape.
    trials : int
        After how many it ends, if the sampler does not end before.
    at_once : int
        How many the sampler is asked for before it is told of them: a search's workers.

    Returns
    -------
    list of Outcome
        In the order they were asked for.

    Raises
    ------
    TuningError
        If the sampler raises, gives what is no grid index, or keeps asking for what is not there.
    """
    run = str(land.trials["run"].iloc[0])
    found: list[Outcome] = []
    passed_over = 0
    while len(found) < trials:
        asked = _asked(sampler, min(at_once, trials - len(found)), land.grid.size)
        if not asked:
            break
        known = [trial for trial in asked if trial in trainer]
        passed_over = 0 if known else passed_over + len(asked)
        if passed_over > PATIENCE:
            raise TuningError(
                f"the sampler {type(sampler).__name__} has asked for {PATIENCE:,} trials in a row "
                f"that the table of run {run} does not have: train the whole grid"
            )
        outcomes = trainer.train(known)
        rows = [
            row_of(outcome, run=run, strategy="replay", number=number)
            for number, outcome in enumerate(outcomes, start=len(found))
        ]
        try:
            if rows:
                sampler.tell(rows)
        except (Exception, SystemExit) as error:
            raise TuningError(
                f"tell of the sampler {type(sampler).__name__} failed: {first_line(error)}"
            ) from error
        found += outcomes
    return found


def _asked(sampler: Sampler, n: int, size: int) -> list[int]:
    try:
        asked = [int(trial) for trial in sampler.ask(n)]
    except (Exception, SystemExit) as error:
        raise TuningError(
            f"ask of the sampler {type(sampler).__name__} failed: {first_line(error)}"
        ) from error
    for trial in asked:
        if not 0 <= trial < size:
            raise TuningError(
                f"the sampler {type(sampler).__name__} asks for trial {trial:,}: those of this "
                f"grid are 0 to {size - 1:,}"
            )
    return asked


def replays(
    land: Landscape, make: MakeSampler, trials: int, seeds: Sequence[int], at_once: int = 1
) -> pd.DataFrame:
    """What a search finds, again and again with other seeds.

    Parameters
    ----------
    land : Landscape
    make : callable
        Gives the sampler, from table, number of trials and seed.
    trials : int
    seeds : sequence of int
        One search each.
    at_once : int
        As for `replay`.

    Returns
    -------
    DataFrame
        One row a search: ``seed``, ``trials`` (answered), the metric and the test metric of what
        it chose, ``index`` (in the grid), ``rank`` (among all in the table, 1 the best; equals
        have the same), ``cpu_seconds``. Without a result, the scores are NaN and the index is -1.

    Raises
    ------
    TuningError
        As `replay`, or what `make` raises.
    """
    trainer = TableTrainer(land)
    places = {index: i for i, index in enumerate(land.trials.index)}
    rows = []
    for seed in seeds:
        sampler = make(land, trials, seed)
        outcomes = replay(sampler, land, trainer, trials, at_once)
        asked = np.array([places[outcome.trial.index] for outcome in outcomes], dtype=int)
        best = best_so_far(land.values[asked], land.mode)
        spent = sum(outcome.seconds for outcome in outcomes)
        if len(best) == 0 or best[-1] < 0:
            rows.append((seed, len(asked), np.nan, np.nan, -1, np.nan, spent))
            continue
        place = asked[best[-1]]
        index = int(land.trials.index[place])
        chosen = (land.values[place], land.tests[place], index, land.ranks[place])
        rows.append((seed, len(asked), *chosen, spent))
    names = ["seed", "trials", land.metric, land.test_metric, "index", "rank", "cpu_seconds"]
    return pd.DataFrame(rows, columns=names)


def find_sampler(text: str) -> MakeSampler:
    """A built-in sampler by name, or a class of one's own, as ``FILE.py:NAME``.

    The class is called with the grid, the number of trials and a seed; what is returned raises
    TuningError if that fails.

    Raises
    ------
    TuningError
        If there is none, or the file does not run.
    """
    if text in SAMPLERS:
        return SAMPLERS[text]
    file, colon, name = text.rpartition(":")
    if not colon:
        raise TuningError(
            f"there is no sampler {text!r}: take {', '.join(SAMPLERS)}, or FILE.py:CLASS"
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

    def make(land: Landscape, trials: int, seed: int) -> Sampler:
        try:
            sampler: Sampler = names[name](land.grid, trials, seed)
        except (Exception, SystemExit) as error:
            raise TuningError(f"the sampler {text} cannot be made: {first_line(error)}") from error
        return sampler

    return make
