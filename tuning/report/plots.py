"""A run's figures, one message each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from tuning.analysis.compare import Comparison, strategy_name
from tuning.report.tables import axis_positions, value_text, with_result
from tuning.space.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's colours, told apart with any colour vision.
COLOURS = {"random": "#0072B2", "sweep": "#D55E00"}
GREY = "#666666"
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "font.size": 10,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # an axis value may hold a $
}


def plot_best_so_far(comparison: Comparison, path: Path) -> None:
    """Each strategy's best result over its trials, as a PNG.

    Parameters
    ----------
    comparison : Comparison
    path : Path
        The file to write.
    """
    import matplotlib.figure

    metric = comparison.metric
    with mpl.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(7, 4.2))
        axes = figure.add_subplot()
        longest = 0
        for strategy, rows in comparison.table.groupby("strategy"):
            name = strategy_name(strategy)
            colour = COLOURS.get(str(strategy), GREY)
            axes.step(rows["trials"], rows[metric], where="post", color=colour, label=name, lw=2)
            axes.plot(rows["trials"].iloc[-1], rows[metric].iloc[-1], "o", color=colour)
            if strategy == "sweep":
                axes.plot(
                    rows["trials"],
                    rows[f"expected_{metric}"],
                    "--",
                    color=colour,
                    label="sweep's trials in random order (expected)",
                )
            longest = max(longest, int(rows["trials"].max()))
        for reference in comparison.manifest.problem.references:
            if metric in reference and "trials" in reference:
                axes.plot(
                    reference["trials"], reference[metric], "D", color=GREY, mfc="none",
                    label=reference.get("strategy", "published"),
                )  # fmt: skip
        if longest > 1000:
            axes.set_xscale("log")
        axes.set_xlabel("trials")
        axes.set_ylabel(f"best {metric} so far")
        axes.set_title("The best network found after n trials")
        _focus(axes, comparison)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="best")
        figure.savefig(path)


def plot_axes(
    results: pd.DataFrame, means: pd.DataFrame, grid: Grid, metric: str, path: Path
) -> None:
    """Every trial by the value of each axis, with the means, as a PNG.

    Parameters
    ----------
    results : DataFrame
        As `tuning.load_results` returns it.
    means : DataFrame
        As `axis_means` returns it.
    grid : Grid
    metric : str
    path : Path
        The file to write.
    """
    import matplotlib.figure

    names = list(grid.axes)
    ok = with_result(results, metric)
    positions = axis_positions(ok["index"], grid)
    columns = min(4, max(1, len(names)))
    lines = max(1, -(-len(names) // columns))
    generator = np.random.default_rng(0)
    with mpl.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(2.6 * columns, 2.5 * lines + 0.4))
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(panels.flat, names, strict=False):
            mine = means[means["axis"] == name].reset_index(drop=True)
            values = [value_text(value) for value in grid.axes[name]]
            x = positions[name] + generator.uniform(-0.22, 0.22, len(ok))
            axes.plot(x, ok[metric], ".", color=GREY, alpha=0.35, ms=4, mew=0)
            bars = mine["value"].map(values.index)
            axes.plot(bars, mine["mean"], "_", color=COLOURS["sweep"], ms=18, mew=2.5)
            axes.set_xticks(range(len(values)), values)
            axes.tick_params("x", rotation=30 if len("".join(values)) > 16 else 0)
            axes.set_xlim(-0.5, len(values) - 0.5)
            axes.set_xlabel(name)
            axes.grid(axis="y", alpha=0.25)
        for line in panels:
            line[0].set_ylabel(metric)
        figure.suptitle(
            f"{len(ok):,} trials by the value of each axis; a bar is their mean",
            x=0.01, ha="left", fontweight="bold",
        )  # fmt: skip
        figure.savefig(path)


def _focus(axes: Axes, comparison: Comparison) -> None:
    """Show the y range in which the incumbents spend most of their trials."""
    values = comparison.table[comparison.metric].dropna()
    if values.empty:
        return
    if comparison.manifest.problem.mode == "max":
        worst, best = values.quantile(0.1), values.max()
    else:
        worst, best = values.quantile(0.9), values.min()
    margin = max(abs(best - worst), 1e-3) * 0.15
    low, high = sorted((worst, best))
    axes.set_ylim(low - margin, high + margin)
