"""What a run says about random search, in three sentences."""

from __future__ import annotations

import numpy as np

from tuning.analysis.chance import BestOf, chance_of_top, needed_for
from tuning.analysis.compare import Comparison, number_text, sentences
from tuning.analysis.landscape import Landscape
from tuning.analysis.noise import Noise

TRIALS = 20  # of the random search a whole grid's answer is about, if the run had none
CONFIDENT = 0.95


def answer(
    comparison: Comparison, land: Landscape, found: BestOf | None, noise: Noise | None
) -> list[str]:
    """The run in three sentences; a whole grid's are about every random search there could be.

    Parameters
    ----------
    comparison : Comparison
    land : Landscape
    found : BestOf, optional
        Of the landscape; needed only of a whole grid.
    noise : Noise, optional
    """
    if not land.whole or found is None:
        trained = f"{len(land.trials):,} of the grid's {land.grid.size:,}"
        return [
            *sentences(comparison),
            f"All of this is about the {trained} configurations that were trained, and says "
            "nothing of the others.",
        ]
    n = random_trials(land)
    i, size, metric, test = n - 1, land.grid.size, land.metric, land.test_metric
    best = int(np.nanargmin(land.ranks))
    _, hundredth = as_good_as(land)["1%"] if size >= 100 else (1, int((land.ranks == 1).sum()))
    top = "best hundredth" if size >= 100 else "best"
    reach = (
        f"{n} trials hold one as good as the {top} with a chance of "
        f"{chance_of_top(size, hundredth, np.array(n)):.0%}, and {CONFIDENT:.0%} takes "
        f"{needed_for(size, hundredth, CONFIDENT):,}"
    )
    if noise:
        reach += (
            f"; {within_noise(land, noise):,} configurations are no further from the best than "
            "the seed alone can move one"
        )
    return [
        f"Of all {size:,} configurations the best has {metric} "
        f"{number_text(land.values[best])} and {test} {number_text(land.tests[best])}.",
        f"A random search of {n} trials finds {number_text(found.mean[i])} on average "
        f"({number_text(found.low[i])} to {number_text(found.high[i])} in nine of ten), and what "
        f"it chooses has {test} {number_text(found.chosen_mean[i])} "
        f"({number_text(found.chosen_low[i])} to {number_text(found.chosen_high[i])}).",
        f"{reach}.",
    ]


def random_trials(land: Landscape) -> int:
    """The trials of the random search that is judged: the run's own, or 20."""
    asked = land.manifest["search"]["random"] if "search" in land.manifest else 0
    return min(int(asked or TRIALS), land.grid.size)


def as_good_as(land: Landscape) -> dict[str, tuple[int, int]]:
    """How many the best 1%, 0.1% and 10 are, and how many are as good, equals included."""
    ranks = np.sort(land.ranks[~np.isnan(land.ranks)])
    size = land.grid.size
    named = {"1%": round(size / 100), "0.1%": round(size / 1000), "10": 10}
    return {
        name: (top, int(np.searchsorted(ranks, ranks[min(top, len(ranks)) - 1], "right")))
        for name, top in named.items()
        if 1 <= top < size
    }


def within_noise(land: Landscape, noise: Noise) -> int:
    """How many configurations, the best included, are within noise of it."""
    best = np.nanmax(land.values) if land.mode == "max" else np.nanmin(land.values)
    return int((np.abs(land.values - best) <= noise.resolution + 1e-12).sum())
