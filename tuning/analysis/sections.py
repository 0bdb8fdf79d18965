"""The parts of a run's report: what each says, and its figures."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from tuning.analysis import figures
from tuning.analysis.answer import CONFIDENT, as_good_as, within_noise
from tuning.analysis.chance import BestOf, needed_for
from tuning.analysis.compare import number_text
from tuning.analysis.fidelity import fidelities
from tuning.analysis.landscape import Landscape
from tuning.analysis.noise import Noise
from tuning.analysis.order import stopped_early
from tuning.analysis.variance import functional_anova


@dataclass(frozen=True)
class Section:
    """A heading, what it says, and its figures: each an SVG element and its caption."""

    title: str
    text: list[str]
    figures: list[tuple[str, str]]


def sections(land: Landscape, found: BestOf, noise: Noise | None) -> list[Section]:
    """All that a landscape supports, in the order of the page."""
    parts = [_random(land, found)]
    if land.whole:
        parts += [_reach(land), _early(land, found)]
        parts += [_variance(land)] if not np.isnan(land.values).any() else []
    parts += [_curse(land, found)]
    parts += [_noise(land, noise)] if noise else []
    parts += _fidelity(land)
    return [*parts, _axes(land), *([] if land.whole else [_unsaid(land)])]


def _random(land: Landscape, found: BestOf) -> Section:
    size = len(land.trials)
    of = f"all {size:,} configurations" if land.whole else f"the {size:,} trained"
    rows = ", ".join(
        f"{number_text(found.mean[n - 1])} of {n:,}" for n in (1, 5, 20, 100, 1000) if n <= size
    )
    return Section(
        "What n random trials find",
        [
            f"The best {land.metric} of n trials drawn from {of}, on average: {rows}.",
            "Exact, from the order statistics of a draw without replacement; no simulation.",
        ],
        [
            (
                figures.svg(functools.partial(figures.best_of_n, land=land, found=found)),
                f"The best of n trials drawn from {of}, and the test score of what was chosen: "
                "mean, and where it lies in nine of ten searches."
                + (" ◇ published." if land.manifest["problem"]["references"] else ""),
            )
        ],
    )


def _reach(land: Landscape) -> Section:
    size = land.grid.size
    top = {
        f"best {name}" + (f" ({count:,} with equals)" if count > whole else ""): count
        for name, (whole, count) in as_good_as(land).items()
    }
    return Section(
        "How many trials it takes",
        [
            f"To hold one of the {name} with a chance of {CONFIDENT:.0%} takes "
            f"{needed_for(size, count, CONFIDENT):,} trials."
            for name, count in top.items()
        ],
        [
            (
                figures.svg(functools.partial(figures.chances, size=size, tops=top)),
                "The chance that n random trials hold one of the best.",
            )
        ],
    )


def _early(land: Landscape, found: BestOf) -> Section:
    early = stopped_early(land)
    better = land.better(early["grid"], found.mean[early["trials"] - 1])
    share = f"{float(np.mean(better)):.0%}"
    return Section(
        "A sweep stopped early",
        [
            "Swept in its own order and stopped after n trials, the grid is ahead of the mean "
            f"random search at {share} of the points drawn.",
        ],
        [
            (
                figures.svg(
                    functools.partial(figures.early_sweeps, land=land, found=found, early=early)
                ),
                "The best after n trials: in grid order, evenly spaced, and at random.",
            )
        ],
    )


def _variance(land: Landscape) -> Section:
    names = list(land.grid.axes)
    shape = [len(values) for values in land.grid.axes.values()]
    columns = dict.fromkeys([land.metric, "val_loss"])
    shares = {
        column: functional_anova(land.scores(column).reshape(shape), names) for column in columns
    }
    shares = {column: table for column, table in shares.items() if table["share"].notna().all()}
    said = []
    for column, table in shares.items():
        largest = table[:-1].head(3)
        part = ", ".join(f"{row.axes} {row.share:.0%}" for row in largest.itertuples())
        rest = table["share"].iloc[-1]
        said.append(f"Of the variance of {column}: {part}; sets of three axes and more {rest:.0%}.")
    return Section(
        "What matters",
        [*said, "Exact functional ANOVA of the whole table (Hoeffding's decomposition)."],
        [
            (
                figures.svg(functools.partial(figures.effects, shares=shares), height=4.6),
                "The largest main effects and interactions of two axes (×).",
            )
        ],
    )


def _curse(land: Landscape, found: BestOf) -> Section:
    gap = found.mean - found.chosen_mean
    size = len(gap)
    said = [f"{gap[n - 1]:+.4f} after {n:,}" for n in (1, 20, 1000) if n <= size]
    return Section(
        "The winner's curse",
        [
            f"What is chosen by {land.metric} looks better by it than it is: {land.metric} less "
            f"{land.test_metric} of the chosen, on average, is {', '.join(said)} random trials.",
            "One trial alone is not chosen: its gap is the difference of the two sets of data.",
        ],
        [
            (
                figures.svg(functools.partial(figures.winners_curse, land=land, found=found)),
                "The chosen one's validation score less its test score, on average.",
            )
        ],
    )


def _noise(land: Landscape, noise: Noise) -> Section:
    within = within_noise(land, noise)
    known = int((~np.isnan(land.values)).sum())
    seeds = ", ".join(map(str, noise.seeds))
    return Section(
        "What is noise",
        [
            f"{noise.trials:,} configurations were trained with the seeds {seeds}: "
            f"{noise.share:.1%} of the variance of {land.metric} is between configurations, the "
            "rest between seeds.",
            f"Among the best tenth the standard deviation between seeds is "
            f"{noise.top_deviation:.4f}, so that two trainings there differ by up to "
            f"{noise.resolution:.4f} (95%) for no reason but the seed: {within:,} of {known:,} "
            f"configurations are no further from the best, {number_text(_best_value(land))}.",
            f"The best by seed {noise.seeds[0]} among them, {number_text(noise.chosen)}, has "
            f"{number_text(noise.chosen_again)} with the others. Rank correlation between seeds: "
            f"{noise.correlation:.2f} over all"
            + (
                f", {noise.top_correlation:.2f} in the best tenth."
                if not np.isnan(noise.top_correlation)
                else "."
            ),
        ],
        [
            (
                figures.svg(functools.partial(figures.indistinguishable, land=land, noise=noise)),
                f"{land.metric} by rank; the band is what noise alone could take from the best.",
            )
        ],
    )


def _fidelity(land: Landscape) -> list[Section]:
    table = fidelities(land)
    if table.empty:
        return []
    longest = int(land.trials["epochs"].max())
    first = int(table["epochs"].iloc[0])
    said = [
        f"{row.epochs:,} epochs rank {row.trajectories:,} trainings as {longest:,} do with a "
        f"correlation of {row.correlation:.3f} (Spearman); of the best hundredth "
        f"{row.top_share:.0%} are so already, and training only the best after {row.epochs:,} to "
        f"the end gives away {row.regret:.4f}."
        for row in table.itertuples()
    ]
    drawn = functools.partial(figures.shorter_trainings, land=land, epochs=first, longest=longest)
    return [
        Section(
            "What shorter trainings tell",
            said,
            [(figures.svg(drawn), f"Ranks after {first} and after {longest} epochs.")],
        )
    ]


def _axes(land: Landscape) -> Section:
    return Section(
        "By value of each axis",
        [f"{land.metric} over {'the whole grid' if land.whole else 'the trials trained'}."],
        [
            (
                figures.svg(functools.partial(figures.by_axis, land=land, axis=axis), height=2.6),
                f"{axis}: median, the middle half, and nine tenths.",
            )
            for axis in land.grid.axes
        ],
    )


def _unsaid(land: Landscape) -> Section:
    missing = land.grid.size - len(land.trials)
    return Section(
        "What this run cannot say",
        [
            f"{missing:,} configurations were not trained. How near the trials come to the best "
            "there is, how many it takes to reach the top, what a sweep would have found in "
            "another order, and what share each axis has in the variance, only a sweep of all can "
            "tell: --sweep all, in this run's directory.",
        ],
        [],
    )


def _best_value(land: Landscape) -> float:
    return float(np.nanmax(land.values) if land.mode == "max" else np.nanmin(land.values))
