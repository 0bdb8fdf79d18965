"""A second training of some of a run's trials, from almost the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from tuning.analysis.run_view import scores_of
from tuning.api.settings import Request, settle
from tuning.errors import TuningError
from tuning.execution import worker
from tuning.execution.quiet import quiet
from tuning.problem.variants import searched_data
from tuning.runs.manifest import read_manifest, write_text
from tuning.runs.table import AGAIN, as_csv, load_results
from tuning.samplers import trial_at
from tuning.space.given import as_grid


def train_again(path: Path, n: int, console: Console) -> pd.DataFrame:
    """Train n of a run's trials again from weights moved by a rounding error; write ``again.csv``.

    Half of them are the best, the others are evenly spaced among the rest by their score. See
    `tuning.engines.nudge` for what is moved and why.

    Parameters
    ----------
    path : Path
        A run directory, whose problem has not changed.
    n : int
    console : rich.console.Console
        For progress.

    Returns
    -------
    DataFrame
        A row a trial, the best first: ``index`` (of its configuration in the grid), the metric that
        chooses, ``again`` (the same metric of the second training) and ``moved`` (the distance of
        the two). The table in ``again.csv`` is the same.

    Raises
    ------
    TuningError
        If n is below 1, the space is no grid, or the problem's file, its data or Keras' settings
        have changed.
    """
    if n < 1:
        raise TuningError(f"--again takes a number of trials from 1, not {n}")
    manifest = read_manifest(path)
    if manifest.copies.size > 1:
        raise TuningError(
            f"--again takes a run whose trials are one training each, and {path} has means"
        )
    grid, metric = as_grid(manifest.space, "--again"), manifest.problem.metric
    trials = _some(load_results(path), metric, manifest.problem.mode, n)
    with console.status("Training again"), quiet():
        settings = settle(Request(out=path))
        problem = settings.problem
        data, digest = searched_data(problem)
        if digest != manifest.problem.fingerprint["data"]:
            raise TuningError(f"{path} cannot be trained again: the problem's data has changed")
        job = worker.Job(
            settings.seed,
            settings.backend,
            environment=manifest.environment,
            nudged=True,
        )
        probe = worker.probe(problem, data, job, settings.engine == "auto")
        job = worker.Job(**{**vars(job), "packing": probe.packing})
        again = [
            trial_at(grid, int(index), number, settings.seed)
            for number, index in enumerate(trials["index"])
        ]
        moved = {
            outcome.trial.index: outcome.metrics.get(metric, np.nan)
            for report in worker.train(problem, data, again, job)
            for outcome in report.outcomes
        }
    found = trials.assign(again=trials["index"].map(moved))
    found["moved"] = (found["again"] - found[metric]).abs()
    write_text(path / AGAIN, as_csv(found))
    return found


def _some(results: pd.DataFrame, metric: str, mode: str, n: int) -> pd.DataFrame:
    """The best half of n trials, and as many evenly spaced among the others."""
    scored = results[np.isfinite(scores_of(results, metric))].drop_duplicates("index")
    ordered = scored.sort_values(metric, ascending=mode == "min", kind="stable")
    best = min(len(ordered), (n + 1) // 2)
    spaced = np.linspace(best, len(ordered) - 1, min(n, len(ordered)) - best).round().astype(int)
    chosen: pd.DataFrame = ordered.iloc[[*range(best), *spaced]]
    return chosen[["index", metric]].reset_index(drop=True)
