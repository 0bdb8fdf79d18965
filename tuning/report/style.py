"""The style of all figures, and how they become files and parts of a page."""

from __future__ import annotations

import io
import itertools
import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours, told apart with any colour vision; Tol's wine in place of their yellow.
COLOURS = {
    "random": "#0072B2",
    "sweep": "#D55E00",
    "packs": "#009E73",
    "halving": "#CC79A7",
    "hyperband": "#E69F00",
    "evolution": "#56B4E9",
    "optuna": "#000000",
    "iepoch": "#882255",
}
MARKERS = "osD^vP*X"
RANDOM, SWEEP, TEST, OTHER = COLOURS["random"], COLOURS["sweep"], "#009E73", "#CC79A7"
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
ON_PAGE: Any = {
    **STYLE,
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "font.size": 10.5,
    "font.family": "sans-serif",
}
WIDTH, HEIGHT = 4.4, 3.2  # inches: a figure is read at half of a page, and at the whole of a phone
MOST_TICKS = 7
MOST_BELOW = 3  # entries of a legend, one below the other
ENTRY = 0.22  # inches: the height of an entry
WIDE = 6.0  # inches: the width of a figure from which entries stand side by side
LOGARITHMIC = 50  # with more trials than this, their axis is logarithmic


def svg(draw: Callable[[Axes], None], height: float = HEIGHT) -> str:
    """Draw a figure as an SVG element whose width follows the page's.

    Parameters
    ----------
    draw : callable
        Draws on the pair of axes it is given.
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
    # Names have to differ between the figures of a page.
    name = f"f{zlib.crc32(text.encode()):08x}"
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", text)
    hidden = '<svg aria-hidden="true" '  # its caption says it
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', rf"{hidden}\1", text, count=1)


def png(draw: Callable[[Axes], None], path: Path) -> None:
    """Draw a figure as a PNG file."""
    with mpl.rc_context(STYLE):
        _drawn(draw, 7, 4.2).savefig(path)


def _drawn(draw: Callable[[Axes], None], width: float, height: float) -> Figure:
    import matplotlib.figure
    import matplotlib.ticker

    figure = matplotlib.figure.Figure(figsize=(width, height))
    ax = figure.add_subplot()
    draw(ax)
    if isinstance(ax.yaxis.get_major_locator(), matplotlib.ticker.AutoLocator):
        # A fixed number: Matplotlib would choose other ticks, with wider labels, after the layout.
        ax.locator_params("y", nbins=MOST_TICKS)
    return figure


def looks(strategies: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The colour and the marker of each strategy: its own, or one that no other of them has."""
    names = sorted(strategies, key=lambda name: (name not in COLOURS, name))
    left = [each for name, each in COLOURS.items() if name not in names] or list(COLOURS.values())
    others = itertools.cycle(left)
    colours = [COLOURS.get(name) or next(others) for name in names]
    return dict(zip(names, zip(colours, itertools.cycle(MARKERS), strict=False), strict=False))


def legend(ax: Axes) -> None:
    """Put the legend above the plot, where no curve is.

    Many entries stand side by side, or make the figure higher where it is too narrow for that.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    more = max(0, len(ax.get_legend_handles_labels()[1]) - MOST_BELOW)
    wide = figure.get_figwidth() >= WIDE
    if not wide:
        figure.set_figheight(figure.get_figheight() + ENTRY * more)
    ax.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2,
        ncols=2 if wide and more else 1, columnspacing=1.2,
    )  # fmt: skip


def trials_scale(ax: Axes, most: int) -> None:
    """Label the horizontal axis with numbers of trials, whole ones, written out."""
    count_scale(ax, most)
    ax.set_xlabel("trials")
    ax.grid(alpha=0.25)


def count_scale(ax: Axes, most: int) -> None:
    """Make the horizontal axis one of whole numbers: logarithmic if there are many."""
    import matplotlib.ticker

    if most > LOGARITHMIC:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator("auto", integer=True))
    ax.xaxis.set_major_formatter("{x:,.0f}")


def padded(low: float, high: float) -> tuple[float, float]:
    """The limits of an axis that shows all from `low` to `high`."""
    margin = 0.06 * max(high - low, 1e-6)
    return low - margin, high + margin
