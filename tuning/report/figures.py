"""The figures of a run, one message each; every function but one draws on one pair of axes.

`ax` is such a pair, of Matplotlib; an axis is a hyperparameter of the space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from tuning.analysis.axis_means import axis_positions, axis_values, with_result
from tuning.analysis.best_of_n import BestOf, chance_of_top
from tuning.analysis.compare import Comparison
from tuning.analysis.fidelity import by_epochs
from tuning.analysis.grid_scores import GridScores
from tuning.analysis.partial_sweep import log_spaced
from tuning.analysis.run_view import RunView
from tuning.analysis.seed_noise import Noise, within_noise
from tuning.report.style import (
    GREY,
    OTHER,
    RANDOM,
    STYLE,
    SWEEP,
    TEST,
    count_scale,
    legend,
    looks,
    padded,
    trials_scale,
)
from tuning.report.text import counted, value_text
from tuning.samplers import title_of
from tuning.space.space import Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EFFECTS = 12
MOST_LETTERS = 40  # of an axis's values side by side
FEW = 8  # trials: a figure of many need not show what fewer than these give
MANY = 100  # more trials than this are drawn small and faint


def best_so_far(ax: Axes, comparison: Comparison) -> None:
    """The best result of each strategy over its trials; those of the first √n may be cut off."""
    metric, most = comparison.metric, 1
    limits: list[float] = []
    own = looks(map(str, comparison.last.index))
    for strategy, rows in comparison.table.groupby("strategy"):
        colour, marker = own[str(strategy)]
        trials, best = rows["trials"], rows[metric]
        ax.step(trials, best, where="post", color=colour, lw=2)
        ax.plot(trials.iloc[-1], best.iloc[-1], marker, color=colour)
        ax.plot([], [], f"-{marker}", color=colour, lw=2, label=title_of(str(strategy)))
        if strategy == "sweep":
            label = "sweep in random order (expected)"
            ax.plot(trials, rows[f"expected_{metric}"], "--", color=colour, label=label)
        most = max(most, int(trials.max()))
        if (known := best.dropna()).size:
            limits += [float(known.iloc[i]) for i in (math.isqrt(len(known) - 1), -1)]
    for reference, n, value in _published(comparison, metric):
        name = reference.get("strategy", "published")
        ax.plot(n, value, "D", color=GREY, mfc="none", label=name)
        most = max(most, int(n))
        limits.append(value)
    trials_scale(ax, most)
    ax.set_ylim(*padded(min(limits), max(limits)))
    ax.set_ylabel(f"best {metric} so far")
    legend(ax)


def _published(view: RunView, metric: str) -> Iterator[tuple[Mapping[str, Any], float, float]]:
    """The results published elsewhere that have the metric: each, its trials and its value."""
    for reference in view.manifest.problem.published:
        if metric in reference and "trials" in reference:
            yield reference, reference["trials"], reference[metric]


def value_panels(
    results: pd.DataFrame, means: pd.DataFrame, space: Space, metric: str, path: Path
) -> None:
    """Draw every trial by the value of each axis, with the means, as a PNG file.

    Parameters
    ----------
    results : DataFrame
        As `tuning.load_results` returns it.
    means : DataFrame
        As `tuning.analysis.axis_means.axis_means` returns it.
    space : Space
    metric : str
    path : Path
        The file to write.
    """
    import matplotlib.figure

    names = list(space.parameters)
    ok = with_result(results, metric, space)
    positions = axis_positions(ok, space)
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    generator = np.random.default_rng(0)
    size, alpha = (4, 0.35) if len(ok) > MANY else (7, 0.7)
    with mpl.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(max(5.2, 2.6 * columns), 2.5 * lines + 0.4))
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for ax in panels.flat[len(names) :]:
            ax.set_visible(False)
        for ax, name in zip(panels.flat, names, strict=False):
            mine = means[means["axis"] == name]
            x = positions[name] + generator.uniform(-0.22, 0.22, len(ok))
            ax.plot(x, ok[metric], ".", color=GREY, alpha=alpha, ms=size, mew=0)
            ax.plot(mine["position"], mine["mean"], "_", color=SWEEP, ms=18, mew=2.5)
            _label_values(ax, space, name, most_letters=16)
            ax.grid(axis="y", alpha=0.25)
        for line in panels:
            line[0].set_ylabel(metric)
        figure.suptitle(
            f"{len(ok):,} trials by the value of each axis; a bar is their mean",
            x=0.01, ha="left", fontweight="bold",
        )  # fmt: skip
        figure.savefig(path)


def _label_values(ax: Axes, space: Space, axis: str, most_letters: int) -> None:
    """Label the horizontal axis with the values of a hyperparameter, or parts of its range."""
    values = [value_text(value) for value in axis_values(space, axis)]
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    is_long = len("".join(values)) > most_letters
    ax.set_xticks(range(len(values)), values, **(turned if is_long else {}))
    ax.set_xlim(-0.6, len(values) - 0.4)
    ax.set_xlabel(axis)


def best_of_n(ax: Axes, scores: GridScores, found: BestOf) -> None:
    """The best of n random trials, and the score of the same trial on the test data."""
    n = np.arange(1, len(found.mean) + 1)
    shown = log_spaced(len(n)) - 1
    curves = [(found.mean, found.low, found.high, RANDOM, scores.metric, scores.metric)]
    if test := scores.test_metric:
        chosen = (found.chosen_mean, found.chosen_low, found.chosen_high)
        curves.append((*chosen, TEST, test, f"its {test}"))
    most, marks, bands = len(n), [], []
    for mean, low, high, colour, metric, name in curves:
        ax.fill_between(n[shown], low[shown], high[shown], color=colour, alpha=0.18, lw=0)
        ax.plot(n[shown], mean[shown], color=colour, lw=2, label=name)
        for _, trials, value in _published(scores, metric):
            ax.plot(trials, value, "D", color=colour, mfc="none")
            most = max(most, int(trials))
            marks.append(value)
        bands += [low, high]
    trials_scale(ax, most)
    ax.set_ylabel("best of n: mean, 5 to 95%")
    _focus(ax, *bands, marks=marks)
    legend(ax)


def chances(ax: Axes, size: int, tops: dict[str, int]) -> None:
    """The chance that n random trials hold one of the best."""
    n = log_spaced(size)
    for (name, top), colour in zip(tops.items(), (RANDOM, SWEEP, TEST), strict=False):
        ax.plot(n, 100 * chance_of_top(size, top, n), color=colour, lw=2, label=name)
    ax.axhline(95, color=GREY, lw=1, ls=":")
    ax.text(1, 95, "95%", color=GREY, va="bottom")
    trials_scale(ax, size)
    ax.set_ylim(0, 103)
    ax.set_ylabel("chance of holding one, %")
    legend(ax)


def early_sweeps(ax: Axes, scores: GridScores, found: BestOf, early: pd.DataFrame) -> None:
    """A sweep stopped after n trials, beside random search."""
    n = early["trials"].to_numpy()
    low, high = found.low[n - 1], found.high[n - 1]
    ax.fill_between(n, low, high, color=RANDOM, alpha=0.18, lw=0)
    ax.plot(n, found.mean[n - 1], color=RANDOM, lw=2, label="random, mean, 5 to 95%")
    ax.step(n, early["grid"], where="post", color=SWEEP, lw=2, label="sweep in grid order")
    ax.plot(n, early["spaced"], ".", color=OTHER, ms=4, label="n evenly spaced")
    trials_scale(ax, len(scores.trials))
    ax.set_ylabel(f"best {scores.metric}")
    _focus(ax, found.low, found.high)
    legend(ax)


def effects(ax: Axes, shares: dict[str, pd.DataFrame]) -> None:
    """The largest main effects and interactions, of one or more metrics."""
    tables = list(shares.items())
    first = tables[0][1]["axes"]
    names = [*first[:-1].head(MOST_EFFECTS), first.iloc[-1]]
    thickness = 0.8 / len(tables)
    for i, ((metric, table), colour) in enumerate(zip(tables, (RANDOM, SWEEP), strict=False)):
        values = 100 * table.set_index("axes")["share"].reindex(names).to_numpy()
        places = np.arange(len(names)) + (i - (len(tables) - 1) / 2) * thickness
        ax.barh(places, values, thickness, color=colour, label=metric)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("share of the variance, %")
    legend(ax)


def indistinguishable(ax: Axes, scores: GridScores, noise: Noise) -> None:
    """The configurations by rank, and how many of them are within noise of the best."""
    values = np.sort(scores.values[~np.isnan(scores.values)])
    values = values[::-1] if scores.mode == "max" else values
    rank = log_spaced(len(values))
    best, limit = values[0], noise.resolution
    edge = best - limit if scores.mode == "max" else best + limit
    ax.axhspan(min(best, edge), max(best, edge), color=OTHER, alpha=0.2, lw=0)
    ax.plot(rank, values[rank - 1], color=RANDOM, lw=2)
    within = within_noise(scores, noise)
    ax.plot(within, values[within - 1], "o", color=SWEEP)
    is_left = within**2 < len(values)  # of a logarithmic axis, where there is no room to its left
    ax.annotate(
        f"{within:,} within noise", (within, values[within - 1]),
        xytext=(8, 4) if is_left else (-8, -12), textcoords="offset points",
        ha="left" if is_left else "right", va="bottom" if is_left else "top", color=SWEEP,
    )  # fmt: skip
    count_scale(ax, len(values))
    ax.set_xlabel("rank of the configuration")
    ax.set_ylabel(scores.metric)
    shown = values[: max(2, len(values) // 2)]
    ax.set_ylim(*padded(shown.min(), shown.max()))


def winners_curse(ax: Axes, scores: GridScores, found: BestOf) -> None:
    """By how much the chosen looks better in validation than on the test data."""
    shown = log_spaced(len(found.mean))
    ax.axhline(0, color=GREY, lw=1)
    ax.plot(shown, found.optimism(scores.mode)[shown - 1], color=RANDOM, lw=2)
    trials_scale(ax, len(found.mean))
    one, other = scores.metric, scores.test_metric
    ax.set_ylabel(f"{one} − {other}" if scores.mode == "max" else f"{other} − {one}")


def shorter_trainings(ax: Axes, scores: GridScores, epochs: int, longest: int) -> None:
    """The rank of each trajectory after few epochs, and after the most."""
    both = by_epochs(scores)[[epochs, longest]].dropna()
    ranks = both.rank(pct=True, ascending=scores.mode == "max") * 100
    ax.hexbin(
        ranks[epochs],
        ranks[longest],
        gridsize=28,
        cmap="Blues",
        mincnt=1,
        bins="log",
        linewidths=0.1,
    )
    ax.set_xlabel(f"rank after {counted(epochs, 'epoch')}, % (100 the best)")
    ax.set_ylabel(f"rank after {counted(longest, 'epoch')}, %")


def by_axis(ax: Axes, scores: GridScores, axis: str, limits: tuple[float, float]) -> None:
    """The metric at each value of an axis: median, and where half and nine tenths of it lie."""
    positions = axis_positions(scores.trials, scores.space)[axis].to_numpy()
    known = ~np.isnan(scores.values)
    for place in range(len(axis_values(scores.space, axis))):
        own = scores.values[known & (positions == place)]
        if len(own):
            low, q1, median, q3, high = np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95])
            ax.plot([place, place], [low, high], color=GREY, lw=1.2)
            ax.plot([place, place], [q1, q3], color=RANDOM, lw=7, solid_capstyle="butt")
            ax.plot(place, median, "_", color="white", ms=9, mew=2)
    _label_values(ax, scores.space, axis, most_letters=MOST_LETTERS)
    ax.set_ylim(*padded(*limits))
    ax.set_ylabel(scores.metric)


def middle_and_best(scores: GridScores) -> tuple[float, float]:
    """The range from the lower quartile, the least of all values of all axes, to the best score."""
    known = ~np.isnan(scores.values)
    values = scores.values[known]
    positions = axis_positions(scores.trials[known], scores.space)
    worse = 0.25 if scores.mode == "max" else 0.75
    ends = [np.quantile(values, worse)]
    for axis in positions:
        by_value = pd.Series(values).groupby(positions[axis].to_numpy())
        ends += by_value.quantile(worse).tolist()
    if scores.mode == "max":
        return min(ends), values.max()
    return values.min(), max(ends)


def _focus(ax: Axes, *curves: np.ndarray, marks: list[float] | None = None) -> None:
    """Set vertical limits that show all marks, but not the first few trials, which lie far off."""
    values = np.concatenate(
        [curve[FEW - 1 :] if len(curve) > 2 * FEW else curve for curve in curves]
    )
    values = np.append(values[~np.isnan(values)], marks or [])
    if len(values):
        ax.set_ylim(*padded(values.min(), values.max()))
