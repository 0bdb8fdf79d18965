"""The figures of a run's report, one message each; every function draws on one pair of axes."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from tuning.analysis.best_of_n import BestOf, chance_of_top
from tuning.analysis.fidelity import by_epochs
from tuning.analysis.grid_scores import Landscape
from tuning.analysis.partial_sweep import log_spaced
from tuning.analysis.seed_noise import Noise
from tuning.report.answer import within_noise
from tuning.report.plots import COLOURS, GREY, STYLE
from tuning.report.tables import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANDOM, SWEEP, TEST, OTHER = COLOURS["random"], COLOURS["sweep"], "#009E73", "#CC79A7"
ON_PAGE: Any = {
    **STYLE,
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "font.size": 10.5,
    "font.family": "sans-serif",
}
WIDTH, HEIGHT = 4.4, 3.2  # inches: a figure is read at half of a page, and at the whole of a phone
MOST_EFFECTS = 12
MOST_TICKS = 7
MOST_LETTERS = 40  # of an axis's values side by side
FEW = 8  # trials, from which on a figure shows all


def svg(draw: Callable[[Axes], None], height: float = HEIGHT) -> str:
    """A figure as an SVG element whose width follows the page's.

    Parameters
    ----------
    draw : callable
        Draws on the axes it is given.
    height : float
        Inches, at a width of 4.4.
    """
    file = io.StringIO()
    with mpl.rc_context(ON_PAGE):
        figure = _drawn(draw, WIDTH, height)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # Several in one page must not share names.
    name = f"f{zlib.crc32(text.encode()):08x}"
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", text)
    hidden = '<svg aria-hidden="true" '  # its caption says it
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', rf"{hidden}\1", text, count=1)


def png(draw: Callable[[Axes], None], path: Path) -> None:
    """A figure as a PNG file, for where a page is too much."""
    with mpl.rc_context(STYLE):
        _drawn(draw, 7, 4.2).savefig(path)


def _drawn(draw: Callable[[Axes], None], width: float, height: float) -> Figure:
    import matplotlib.figure
    import matplotlib.ticker

    figure = matplotlib.figure.Figure(figsize=(width, height))
    axes = figure.add_subplot()
    draw(axes)
    if isinstance(axes.yaxis.get_major_locator(), matplotlib.ticker.AutoLocator):
        # As many as fit would change with the layout, which is made for the labels there were.
        axes.locator_params("y", nbins=MOST_TICKS)
    return figure


def best_of_n(axes: Axes, land: Landscape, found: BestOf) -> None:
    """What the best of n random trials has, and what it has on the test data."""
    n = np.arange(1, len(found.mean) + 1)
    shown = log_spaced(len(n)) - 1
    for mean, low, high, colour, name in (
        (found.mean, found.low, found.high, RANDOM, land.metric),
        (found.chosen_mean, found.chosen_low, found.chosen_high, TEST, f"its {land.test_metric}"),
    ):
        axes.fill_between(n[shown], low[shown], high[shown], color=colour, alpha=0.18, lw=0)
        axes.plot(n[shown], mean[shown], color=colour, lw=2, label=name)
    for reference in land.manifest.problem.references:
        for metric, colour in ((land.metric, RANDOM), (land.test_metric, TEST)):
            if metric in reference and "trials" in reference:
                axes.plot(reference["trials"], reference[metric], "D", color=colour, mfc="none")
    _log_trials(axes)
    axes.set_ylabel("best of n: mean, 5 to 95%")
    _focus(axes, found.low, found.high, found.chosen_low, found.chosen_high)
    _legend(axes)


def chances(axes: Axes, size: int, tops: dict[str, int]) -> None:
    """The chance that n random trials hold one of the best."""
    n = log_spaced(size)
    for (name, top), colour in zip(tops.items(), (RANDOM, SWEEP, TEST), strict=False):
        axes.plot(n, 100 * chance_of_top(size, top, n), color=colour, lw=2, label=name)
    axes.axhline(95, color=GREY, lw=1, ls=":")
    axes.text(1, 95, "95%", color=GREY, va="bottom")
    _log_trials(axes)
    axes.set_ylim(0, 103)
    axes.set_ylabel("chance of holding one, %")
    _legend(axes)


def early_sweeps(axes: Axes, land: Landscape, found: BestOf, early: pd.DataFrame) -> None:
    """A sweep stopped after n trials, beside random search."""
    n = early["trials"].to_numpy()
    low, high = found.low[n - 1], found.high[n - 1]
    axes.fill_between(n, low, high, color=RANDOM, alpha=0.18, lw=0)
    axes.plot(n, found.mean[n - 1], color=RANDOM, lw=2, label="random, mean, 5 to 95%")
    axes.step(n, early["grid"], where="post", color=SWEEP, lw=2, label="sweep in grid order")
    axes.plot(n, early["spaced"], ".", color=OTHER, ms=4, label="n evenly spaced")
    _log_trials(axes)
    axes.set_ylabel(f"best {land.metric}")
    _focus(axes, found.low, found.high)
    _legend(axes)


def effects(axes: Axes, shares: dict[str, pd.DataFrame]) -> None:
    """The largest main effects and interactions, of one or more metrics."""
    tables = list(shares.items())
    first = tables[0][1]["axes"]
    names = [*first[:-1].head(MOST_EFFECTS), first.iloc[-1]]
    thickness = 0.8 / len(tables)
    for i, ((metric, table), colour) in enumerate(zip(tables, (RANDOM, SWEEP), strict=False)):
        values = 100 * table.set_index("axes")["share"].reindex(names).to_numpy()
        places = np.arange(len(names)) + (i - (len(tables) - 1) / 2) * thickness
        axes.barh(places, values, thickness, color=colour, label=metric)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("share of the variance, %")
    _legend(axes)


def indistinguishable(axes: Axes, land: Landscape, noise: Noise) -> None:
    """The configurations by rank, and how many of them are within noise of the best."""
    values = np.sort(land.values[~np.isnan(land.values)])
    values = values[::-1] if land.mode == "max" else values
    rank = log_spaced(len(values))
    best, limit = values[0], noise.resolution
    edge = best - limit if land.mode == "max" else best + limit
    axes.axhspan(min(best, edge), max(best, edge), color=OTHER, alpha=0.2, lw=0)
    axes.plot(rank, values[rank - 1], color=RANDOM, lw=2)
    within = within_noise(land, noise)
    axes.plot(within, values[within - 1], "o", color=SWEEP)
    axes.annotate(
        f"{within:,} within noise", (within, values[within - 1]), xytext=(-8, -12),
        textcoords="offset points", ha="right", va="top", color=SWEEP,
    )  # fmt: skip
    _log_scale(axes)
    axes.set_xlabel("rank of the configuration")
    axes.set_ylabel(land.metric)
    shown = values[: max(2, len(values) // 2)]
    axes.set_ylim(*_padded(shown.min(), shown.max()))


def winners_curse(axes: Axes, land: Landscape, found: BestOf) -> None:
    """By how much the chosen looks better in validation than on the test data."""
    shown = log_spaced(len(found.mean))
    axes.axhline(0, color=GREY, lw=1)
    axes.plot(shown, found.optimism(land.mode)[shown - 1], color=RANDOM, lw=2)
    _log_trials(axes)
    one, other = land.metric, land.test_metric
    axes.set_ylabel(f"{one} − {other}" if land.mode == "max" else f"{other} − {one}")


def shorter_trainings(axes: Axes, land: Landscape, epochs: int, longest: int) -> None:
    """The rank of each trajectory after few epochs, and after the most."""
    both = by_epochs(land)[[epochs, longest]].dropna()
    ranks = both.rank(pct=True, ascending=land.mode == "max") * 100
    axes.hexbin(
        ranks[epochs],
        ranks[longest],
        gridsize=28,
        cmap="Blues",
        mincnt=1,
        bins="log",
        linewidths=0.1,
    )
    axes.set_xlabel(f"rank after {epochs} epochs, % (100 the best)")
    axes.set_ylabel(f"rank after {longest} epochs, %")


def by_axis(axes: Axes, land: Landscape, axis: str, shown: tuple[float, float]) -> None:
    """The metric at each value of an axis: median, and where half and nine tenths of it lie."""
    positions = land.grid.position(axis, land.trials.index.to_numpy())
    values = [value_text(value) for value in land.grid.axes[axis]]
    known = ~np.isnan(land.values)
    for place in range(len(values)):
        scores = land.values[known & (positions == place)]
        if len(scores):
            low, q1, median, q3, high = np.quantile(scores, [0.05, 0.25, 0.5, 0.75, 0.95])
            axes.plot([place, place], [low, high], color=GREY, lw=1.2)
            axes.plot([place, place], [q1, q3], color=RANDOM, lw=7, solid_capstyle="butt")
            axes.plot(place, median, "_", color="white", ms=9, mew=2)
    axes.set_xticks(range(len(values)), values)
    axes.tick_params("x", rotation=25 if len("".join(values)) > MOST_LETTERS else 0)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.set_ylim(*_padded(*shown))
    axes.set_xlabel(axis)
    axes.set_ylabel(land.metric)


def middle_and_best(land: Landscape) -> tuple[float, float]:
    """From the worse end of the middle half, of all values of all axes, to the best score."""
    known = ~np.isnan(land.values)
    scores, trials = land.values[known], land.trials.index.to_numpy()[known]
    worse = 0.25 if land.mode == "max" else 0.75
    ends = [np.quantile(scores, worse)]
    for axis, values in land.grid.axes.items():
        positions = land.grid.position(axis, trials)
        groups = [scores[positions == place] for place in range(len(values))]
        ends += [np.quantile(group, worse) for group in groups if len(group)]
    if land.mode == "max":
        return min(ends), scores.max()
    return scores.min(), max(ends)


def _legend(axes: Axes) -> None:
    """Above the axes, where no curve is."""
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _log_trials(axes: Axes) -> None:
    _log_scale(axes)
    axes.set_xlabel("trials")
    axes.grid(alpha=0.25)


def _log_scale(axes: Axes) -> None:
    """A logarithmic axis of whole numbers, written out."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _focus(axes: Axes, *curves: np.ndarray) -> None:
    """Leave out what the first few trials give, which would flatten all else."""
    values = np.concatenate([curve[min(FEW, len(curve)) - 1 :] for curve in curves])
    values = values[~np.isnan(values)]
    if len(values):
        axes.set_ylim(*_padded(values.min(), values.max()))


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * max(high - low, 1e-6)
    return low - margin, high + margin
