"""What a run found, printed and written beside its rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from tuning.analysis.compare import Comparison, compare, sentences
from tuning.analysis.tables import axis_means, axis_table, best_table, comparison_table
from tuning.errors import TuningError
from tuning.manifest import manifest_grid, read_manifest
from tuning.results import load_results, shown


def report(path: Path, console: Console) -> tuple[pd.DataFrame, Comparison]:
    """Print a run's comparison and write it to comparison.csv; return it and the trials.

    Raises
    ------
    TuningError
        If the directory is not a run, or it has no trials yet.
    """
    results = load_results(path)
    if results.empty:
        raise TuningError(f"{path} has no trials yet")
    comparison = compare(results, read_manifest(path))
    comparison.table.to_csv(path / "comparison.csv", index=False)
    console.print(comparison_table(comparison))
    for sentence in sentences(comparison):
        console.print(sentence, highlight=False, soft_wrap=not console.is_terminal)
    failed = results[results["status"] != "ok"]
    for status, rows in failed.groupby("status"):
        first = rows.iloc[0]
        console.print(
            f"{len(rows):,} of {len(results):,} trials {status}, the first of them configuration "
            f"{first['trial']:,}: {first['error']}",
            highlight=False,
            markup=False,
        )
    return results, comparison


def analyse(path: Path, console: Console) -> None:
    """Print all that a run's tables say, and draw its figures in the run directory.

    Raises
    ------
    TuningError
        If the directory is not a run, or it has no trials yet.
    """
    from tuning.analysis.plots import plot_axes, plot_best_so_far

    results, comparison = report(path, console)
    metric, mode = comparison.metric, comparison.manifest["problem"]["mode"]
    if not (results["status"] == "ok").any():
        console.print("No trial has a result: there is nothing to rank or to draw.")
        return
    grid = manifest_grid(comparison.manifest)
    console.print("\nThe ten best configurations", style="bold")
    console.print(best_table(results, metric, mode, list(grid.axes), n=10, width=console.width))
    means = axis_means(results, metric, grid)
    console.print("By value of each axis", style="bold")
    console.print(axis_table(means, metric, mode))
    plot_best_so_far(comparison, path / "best_so_far.png")
    plot_axes(results, means, grid, metric, path / "axes.png")
    for name in ("comparison.csv", "best_so_far.png", "axes.png"):
        console.print(f"wrote {shown(path) / name}", soft_wrap=True)
