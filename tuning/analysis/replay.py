"""Searches run over a table of results in place of training: thousands in seconds."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tuning.analysis.landscape import Landscape
from tuning.errors import TuningError, first_line
from tuning.grid import Grid, Row
from tuning.samplers import RandomSampler, Sampler, SweepSampler
from tuning.training.outcome import Outcome

MakeSampler = Callable[[Grid, int, int], Sampler]
SAMPLERS: dict[str, MakeSampler] = {
    # over a part of the grid more are asked for than are answered
    "random": lambda grid, trials, seed: RandomSampler(grid, grid.size, seed),
    "sweep": lambda grid, trials, seed: SweepSampler(grid),
    "spaced": lambda grid, trials, seed: SweepSampler(grid, n_trials=trials),
}


class TableTrainer:
    """Answers from a table what `tuning.driver.Driver` would train.

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
        self.land = land
        self._places = {int(trial): i for i, trial in enumerate(land.trials.index)}
        self._columns = {str(name): land.trials[name].to_numpy() for name in land.trials}
        self._scores = [name for name in self._columns if name.startswith(("val_", "test_"))]

    def __contains__(self, trial: object) -> bool:
        return trial in self._places

    def train(self, trials: list[int]) -> list[Outcome]:
        """The outcomes of these trials, in the same order, as `Driver.train` returns them.

        Raises
        ------
        TuningError
            For a trial that the table does not have.
        """
        return [self._outcome(trial) for trial in trials]

    def row(self, trial: int) -> Row:
        """A trial's row, as a sampler is told of it."""
        place = self._places[trial]
        return {"trial": trial, **{name: cells[place] for name, cells in self._columns.items()}}

    def _outcome(self, trial: int) -> Outcome:
        if trial not in self._places:
            raise TuningError(f"the table has no trial {trial:,}")
        place, of = self._places[trial], self._columns
        ok = of["status"][place] == "ok"
        return Outcome(
            trial,
            int(of["seed"][place]),
            of["status"][place],
            of["engine"][place],
            of["backend"][place],
            {name: float(of[name][place]) for name in self._scores} if ok else {},
            seconds=float(of["train_seconds"][place]),
            error="" if ok else str(of["error"][place]),
            worker=of["worker"][place],
            finished_at=of["finished_at"][place],
        )


def replay(sampler: Sampler, trainer: TableTrainer, trials: int, at_once: int = 1) -> list[Outcome]:
    """Run one search over the table.

    What the sampler asks for and the table does not have is passed over: over a part of a grid,
    random search is a random search of that part.

    Parameters
    ----------
    sampler : Sampler
    trainer : TableTrainer
    trials : int
        After how many it ends, if the sampler does not end before.
    at_once : int
        How many the sampler is asked for before it is told of them: a search's workers.

    Returns
    -------
    list of Outcome
        In the order they were asked for.
    """
    found: list[Outcome] = []
    while len(found) < trials:
        asked = sampler.ask(min(at_once, trials - len(found)))
        if not asked:
            break
        known = [trial for trial in asked if trial in trainer]
        found += trainer.train(known)
        sampler.tell([trainer.row(trial) for trial in known])
    return found


def replays(
    land: Landscape, make: MakeSampler, trials: int, seeds: Sequence[int], at_once: int = 1
) -> pd.DataFrame:
    """What a search finds, again and again with other seeds.

    Parameters
    ----------
    land : Landscape
    make : callable
        Gives the sampler, from grid, number of trials and seed.
    trials : int
    seeds : sequence of int
        One search each.
    at_once : int
        As for `replay`.

    Returns
    -------
    DataFrame
        One row a search: ``seed``, ``trials`` (answered), the metric and the test metric of what
        it chose, ``trial`` (its grid index), ``rank`` (among all in the table, 1 the best; equals
        have the same), ``cpu_seconds``. Without a result, the scores are NaN and the trial is -1.
    """
    trainer = TableTrainer(land)
    ranks = dict(zip(land.trials.index, land.ranks, strict=True))
    rows = []
    for seed in seeds:
        outcomes = replay(make(land.grid, trials, seed), trainer, trials, at_once)
        best: Outcome | None = None
        for outcome in outcomes:
            if outcome.status == "ok" and (
                best is None or land.better(outcome.metrics[land.metric], best.metrics[land.metric])
            ):
                best = outcome
        rows.append(
            (
                seed,
                len(outcomes),
                np.nan if best is None else best.metrics[land.metric],
                np.nan if best is None else best.metrics[land.test_metric],
                -1 if best is None else best.trial,
                np.nan if best is None else ranks[best.trial],
                sum(outcome.seconds for outcome in outcomes),
            )
        )
    names = ["seed", "trials", land.metric, land.test_metric, "trial", "rank", "cpu_seconds"]
    return pd.DataFrame(rows, columns=names)


def find_sampler(text: str) -> MakeSampler:
    """A built-in sampler by name, or a class of one's own, as ``FILE.py:NAME``.

    The class is called with the grid, the number of trials and a seed.

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
    try:
        made: MakeSampler = runpy.run_path(file)[name]
    except KeyError:
        raise TuningError(f"{file} has no {name}") from None
    except Exception as error:
        raise TuningError(f"{file} does not run: {first_line(error)}") from error
    return made
