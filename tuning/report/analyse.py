"""What a run found, printed and written beside its rows."""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from tuning.analysis.best_of_n import BestOf, best_of
from tuning.analysis.compare import Comparison, compare, sentences
from tuning.analysis.grid_scores import Landscape, landscape
from tuning.analysis.run_view import Judged, scores_of
from tuning.analysis.seed_noise import Noise, seed_noise
from tuning.analysis.steady import steadiness, trained_again
from tuning.api.replay import find_sampler, replays
from tuning.errors import RunStopped, TuningError
from tuning.report.answer import answer, random_trials
from tuning.report.tables import (
    axis_means,
    axis_table,
    best_table,
    comparison_table,
    replay_table,
)
from tuning.report.terminal import print_table, say
from tuning.runs.manifest import Manifest, chosen_by, read_manifest, write_text
from tuning.runs.run import cannot_write, shown
from tuning.runs.table import as_csv, load_results, refuse_empty

SAID = {"timeout": "took too long"}  # of a status, where it is no verb


def report(path: Path, console: Console) -> None:
    """Print a run's comparison and write it to comparison.csv.

    Raises
    ------
    TuningError
        If the directory is not a run, or it has no trials yet.
    RunStopped
        If the disk is full.
    """
    results, manifest = _tables(path)
    land = _landscape(results, manifest)
    found = None
    if land and land.whole:
        found = best_of(land.values, land.mode, land.tests, most=random_trials(land))
    comparison = compare(results, manifest)
    _report(path, results, comparison, _sentences(comparison, land, found, None), console)


def _landscape(results: pd.DataFrame, manifest: Manifest) -> Landscape | None:
    """The run's landscape; None if no trial has a result."""
    metrics = Judged(manifest)
    scores = [scores_of(results, name) for name in (metrics.metric, metrics.test_metric)]
    return None if np.isnan(sum(scores)).all() else landscape(results, manifest)


def _report(
    path: Path,
    results: pd.DataFrame,
    comparison: Comparison,
    said: Iterable[str],
    console: Console,
) -> None:
    with _writing(file := path / "comparison.csv"):
        write_text(file, as_csv(comparison.table))
    print_table(console, comparison_table(comparison))
    for sentence in (*said, f"Chosen by {chosen_by(comparison.manifest)}."):
        say(console, sentence)
    failed = results[results["status"] != "ok"]
    for status, rows in failed.groupby("status"):
        first = rows.iloc[0]
        what = SAID.get(str(status), str(status))
        say(
            console,
            f"{len(rows):,} of {len(results):,} trials {what}, the first of them "
            f"configuration {first['index']:,}: {first['error']}",
        )


def _sentences(
    comparison: Comparison, land: Landscape | None, found: BestOf | None, noise: Noise | None
) -> list[str]:
    """The comparison, or, of a whole grid, what any random search of it would find."""
    if land and land.whole and found:
        return answer(comparison, land, found, noise)
    return sentences(comparison)


def analyse(path: Path, others: Sequence[Path], console: Console) -> None:
    """Print all that a run's tables say, and write its report and figures in the run directory.

    Parameters
    ----------
    path : Path
        A run directory.
    others : sequence of Path
        Runs of the same problem with other seeds, which tell noise.
    console : rich.console.Console

    Raises
    ------
    TuningError
        If a directory is not a run, its table is damaged or it has no trials yet, or the others are
        not of the same problem.
    """
    from tuning.report.figures import best_of_n, png
    from tuning.report.page import PAGE, write_page
    from tuning.report.plots import plot_axes, plot_best_so_far

    results, manifest = _tables(path)
    again = [landscape(*_tables(other)) for other in others]
    land = _landscape(results, manifest)
    comparison = compare(results, manifest)
    if land is None:
        _report(path, results, comparison, sentences(comparison), console)
        console.print("No trial has a result: there is nothing to rank or to draw.")
        return
    noise = seed_noise([land, *again]) if again else None
    repeated = trained_again(path, land.metric)
    found = best_of(land.values, land.mode, land.tests)
    _report(path, results, comparison, _sentences(comparison, land, found, noise), console)
    metric, mode, grid = land.metric, land.mode, land.grid
    console.print("\nThe ten best configurations", style="bold")
    best = best_table(results, metric, mode, list(grid.axes), repeated, width=console.width)
    print_table(console, best)
    if repeated is not None:
        say(console, f"{steadiness(repeated, metric)}\n")
    means = axis_means(results, metric, grid)
    console.print("By value of each axis", style="bold")
    print_table(console, axis_table(means, metric, mode))
    with console.status("Writing the report"), _writing(path):
        plot_best_so_far(comparison, path / "best_so_far.png")
        plot_axes(results, means, grid, metric, path / "axes.png")
        png(functools.partial(best_of_n, land=land, found=found), path / "best_of_n.png")
        write_page(path / PAGE, comparison, land, found, noise)
    for name in ("comparison.csv", "best_so_far.png", "best_of_n.png", "axes.png", PAGE):
        console.print(f"wrote {shown(path) / name}", soft_wrap=True)


def print_replays(
    table: Path,
    console: Console,
    *,
    sampler: str,
    trials: int,
    repeats: int,
    seed: int,
    at_once: int,
    out: Path | None,
) -> None:
    """Run a search many times over a run's results, and print what it finds.

    Parameters
    ----------
    table : Path
        A run directory.
    console : rich.console.Console
    sampler : str
        As `tuning.api.replay.find_sampler` takes it.
    trials, repeats, seed, at_once : int
        Of each search; how many; the first one's seed; and how many trials are asked for at once.
    out : Path, optional
        Where to write the searches, as CSV.

    Raises
    ------
    TuningError
        If the directory is not a run or its table is damaged, there is no such sampler, or it does
        not do what a sampler does.
    """
    for name, number in (("--trials", trials), ("--repeats", repeats), ("--at-once", at_once)):
        if number < 1:
            raise TuningError(f"{name} takes a number from 1, not {number}")
    make = find_sampler(sampler)
    land = landscape(*_tables(table))
    if trials > len(land.trials):
        raise TuningError(
            f"--trials {trials} is more than {table} has: a search over it has at most "
            f"{len(land.trials)}"
        )
    with console.status("Searching"):
        found = replays(land, make, trials, range(seed, seed + repeats), at_once)
    if out:
        with _writing(out):
            found.to_csv(out, index=False)
    whole = "all" if land.whole else f"{len(land.trials):,}"
    say(
        console,
        f"{repeats:,} searches of {trials:,} trials by {sampler}, over {whole} of the grid's "
        f"{land.grid.size:,} configurations:",
    )
    exact = None
    if sampler == "random":
        exact = best_of(land.values, land.mode, land.tests, most=trials)
    print_table(console, replay_table(found, land, exact))
    if found["trials"].min() < trials:
        console.print(f"Some ended after {found['trials'].min():,} trials.")
    if out:
        console.print(f"wrote {shown(out)}", soft_wrap=True)


def _tables(path: Path) -> tuple[pd.DataFrame, Manifest]:
    results = load_results(path)
    refuse_empty(results, path)
    return results, read_manifest(path)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = RunStopped if error.errno == errno.ENOSPC else TuningError
        raise kind(cannot_write(path, error)) from error
