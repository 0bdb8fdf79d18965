"""What a run says about random search, in a few sentences."""

from __future__ import annotations

import numpy as np

from tuning.analysis.best_of_n import BestOf, chance_of_top, needed_for
from tuning.analysis.compare import Comparison, counted, number_text, sentences
from tuning.analysis.grid_scores import Landscape
from tuning.analysis.seed_noise import Noise

TRIALS = 20  # of the random search a whole grid's answer is about, if the run had none
CONFIDENT = 0.95


def answer(
    comparison: Comparison, land: Landscape, found: BestOf, noise: Noise | None
) -> list[str]:
    """The run in a few sentences; a whole grid's are about every random search there could be.

    Parameters
    ----------
    comparison : Comparison
    land : Landscape
    found : BestOf
        Of the landscape, at least up to the trials of the random search that is judged.
    noise : Noise, optional
    """
    if not land.whole:
        trained = f"{len(land.trials):,} of the grid's {land.grid.size:,}"
        return [
            *sentences(comparison),
            f"All of this is about the {trained} configurations that were trained, and says "
            "nothing of the others.",
        ]
    n, metric, test = random_trials(land), land.metric, land.test_metric
    i = n - 1
    said = [
        _best(land),
        f"A random search of {counted(n, 'trial')} finds {number_text(found.mean[i])} on average "
        f"({number_text(found.low[i])} to {number_text(found.high[i])} in nine of ten), and what "
        f"it chooses has {test} {number_text(found.chosen_mean[i])} "
        f"({number_text(found.chosen_low[i])} to {number_text(found.chosen_high[i])}).",
    ]
    if reach := as_good_as(land).get("1%"):
        chance = chance_of_top(land.grid.size, reach[1], np.array(n))
        needed = needed_for(land.grid.size, reach[1], CONFIDENT)
        said.append(
            f"With a chance of {percent(float(chance))}, {counted(n, 'random trial')} include one "
            f"as good as the best 1%; a chance of {percent(CONFIDENT)} takes "
            f"{counted(needed, 'trial')}."
        )
    if noise:
        said.append(
            f"{within_noise(land, noise):,} configurations are no further from the best {metric} "
            "than the seed alone can move one."
        )
    return said


def _best(land: Landscape) -> str:
    """The best of the whole grid, and how well it and its equals do on the test data."""
    best = land.ranks == 1
    tests = land.tests[best]
    of = f"Of all {land.grid.size:,} configurations"
    if land.without:
        of += f" ({land.without:,} without a result)"
    if best.sum() == 1:
        return (
            f"{of} the best has {land.metric} {number_text(land.best)} and {land.test_metric} "
            f"{number_text(tests[0])}."
        )
    return (
        f"{of} the best {best.sum():,}, equal in {land.metric} at {number_text(land.best)}, have "
        f"{land.test_metric} {number_text(tests.min())} to {number_text(tests.max())}."
    )


def percent(share: float) -> str:
    """A share, never rounded to none or all of it."""
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{share:.0%}"


def random_trials(land: Landscape) -> int:
    """The trials of the random search that is judged: the run's own, or 20."""
    asked: int = land.manifest.strategies.get("random", {}).get("trials", TRIALS)
    return min(asked, land.grid.size)


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
    return int((np.abs(land.values - land.best) <= noise.resolution + 1e-12).sum())
