"""The report of a run: printed, and written beside its rows."""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from tuning.analysis.axis_means import axis_means
from tuning.analysis.best_of_n import best_of
from tuning.analysis.compare import Comparison, compare
from tuning.analysis.grid_scores import GridScores, grid_scores
from tuning.analysis.run_view import RunView, complete_scores
from tuning.analysis.seed_noise import seed_noise
from tuning.errors import RunStopped, TuningError
from tuning.report.after import sentences_after_search
from tuning.report.answer import answer, random_trials, steadiness_sentence
from tuning.report.tables import axis_table, best_table, comparison_table
from tuning.report.terminal import print_table, say
from tuning.report.text import named
from tuning.runs.manifest import Manifest, cannot_write, chosen_by, read_manifest, write_text
from tuning.runs.run import read_spent
from tuning.runs.table import as_csv, load_again, load_judged, load_results, refuse_empty
from tuning.runs.typed import shown

SAID = {"timeout": "took too long"}  # instead of a status that is no verb


def print_comparison(path: Path, console: Console, *, write: bool = True) -> None:
    """Print a run's comparison, and write it to comparison.csv.

    Parameters
    ----------
    path : Path
        A run directory.
    console : rich.console.Console
    write : bool
        Whether to write it, too.

    Raises
    ------
    TuningError
        If the directory is not a run, or it has no trials yet.
    RunStopped
        If the disk is full.
    """
    results, manifest = load_tables(path)
    scores = _scores(results, manifest)
    found = None
    if scores and scores.is_whole:
        found = best_of(scores.values, scores.mode, scores.tests, most=random_trials(scores))
    comparison = compare(results, manifest, load_judged(path), _seconds(path))
    after = sentences_after_search(path, results, manifest)
    if write:
        _write(path, comparison)
    said = answer(comparison, scores, found, None)
    _print(results, comparison, [*said, *after], console)


def _seconds(path: Path) -> dict[str, float]:
    """The wall clock that each strategy's search has taken, where it is known."""
    return {name: spent.seconds for name, spent in read_spent(path).items()}


def _write(path: Path, comparison: Comparison) -> None:
    """Write the comparison beside the run's rows."""
    with writing(file := path / "comparison.csv"):
        write_text(file, as_csv(comparison.table))
    if comparison.choices:
        each = [
            {**choice.row, "expected": choice.expected, "deviation": choice.deviation}
            for choice in comparison.choices.values()
        ]
        with writing(file := path / "choices.csv"):
            write_text(file, pd.DataFrame(each).to_csv(index=False))


def _scores(results: pd.DataFrame, manifest: Manifest) -> GridScores | None:
    """The run's scores; None if no trial has a result."""
    scores = complete_scores(results, RunView(manifest).score_names)
    return None if np.isnan(scores).all() else grid_scores(results, manifest)


def _print(
    results: pd.DataFrame,
    comparison: Comparison,
    said: Sequence[str],
    console: Console,
) -> None:
    """Print the comparison, sentences and the first error of each kind."""
    print_table(console, comparison_table(comparison))
    for sentence in (*said, f"Chosen by {chosen_by(comparison.manifest)}."):
        say(console, sentence)
    failed = results[~results["status"].isin(["ok", "stopped"])]
    for status, rows in failed.groupby("status"):
        first = rows.iloc[0]
        what = SAID.get(str(status), str(status))
        say(
            console,
            f"{len(rows):,} of {len(results):,} trials {what}, the first of them "
            f"{named(first)}: {first['error']}",
        )


def analyse(path: Path, others: Sequence[Path], console: Console) -> None:
    """Print all that a run's tables tell, and write its page and figures in the run directory.

    Parameters
    ----------
    path : Path
        A run directory.
    others : sequence of Path
        Runs of the same problem with other seeds, for the noise between seeds.
    console : rich.console.Console

    Raises
    ------
    TuningError
        If a directory is not a run, its table is damaged or it has no trials yet, or the others are
        not of the same problem.
    """
    from tuning.report import figures
    from tuning.report.page import PAGE, write_page
    from tuning.report.style import png

    results, manifest = load_tables(path)
    again = [grid_scores(*load_tables(other)) for other in others]
    scores = _scores(results, manifest)
    comparison = compare(results, manifest, load_judged(path), _seconds(path))
    if scores is None:
        _write(path, comparison)
        _print(results, comparison, answer(comparison, None, None, None), console)
        console.print("No trial has a result: there is nothing to rank or to draw.")
        return
    noise = seed_noise([scores, *again]) if again else None
    metric, space = scores.metric, scores.space
    repeated = load_again(path, metric)
    found = best_of(scores.values, scores.mode, scores.tests)
    after = sentences_after_search(path, results, manifest)
    _write(path, comparison)
    _print(results, comparison, [*answer(comparison, scores, found, noise), *after], console)
    console.print("\nThe ten best configurations", style="bold")
    print_table(console, best_table(scores, results, repeated, width=console.width))
    if repeated is not None:
        say(console, f"{steadiness_sentence(repeated, metric)}\n")
    means = axis_means(results, metric, space)
    console.print("By value of each axis", style="bold")
    print_table(console, axis_table(means, metric, scores.mode))
    draw_best = functools.partial(figures.best_of_n, scores=scores, found=found)
    with console.status("Writing the page"), writing(path):
        png(functools.partial(figures.best_so_far, comparison=comparison), path / "best_so_far.png")
        figures.value_panels(results, means, space, metric, path / "axes.png")
        png(draw_best, path / "best_of_n.png")
        write_page(path / PAGE, comparison, scores, found, noise, after=after)
    for name in ("comparison.csv", "best_so_far.png", "best_of_n.png", "axes.png", PAGE):
        console.print(f"wrote {shown(path) / name}", soft_wrap=True)


def load_tables(path: Path) -> tuple[pd.DataFrame, Manifest]:
    """The trials of a run and its manifest.

    Raises
    ------
    TuningError
        If the directory is not a run, or it has no trials yet.
    """
    results = load_results(path)
    refuse_empty(results, path)
    return results, read_manifest(path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors while `path` is written into ours.

    Raises
    ------
    RunStopped
        If the disk is full.
    TuningError
        For any other error.
    """
    try:
        yield
    except OSError as error:
        kind = RunStopped if error.errno == errno.ENOSPC else TuningError
        raise kind(cannot_write(path, error)) from error
