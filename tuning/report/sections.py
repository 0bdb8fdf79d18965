"""The parts of a run's report: what each says, and its figures."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from tuning.analysis.best_of_n import BestOf, needed_for
from tuning.analysis.compare import counted, number_text
from tuning.analysis.fidelity import fidelities
from tuning.analysis.grid_scores import Landscape
from tuning.analysis.partial_sweep import incumbents, stopped_early
from tuning.analysis.run_view import scores_of
from tuning.analysis.seed_noise import Noise
from tuning.analysis.variance import functional_anova
from tuning.report import figures
from tuning.report.answer import (
    CONFIDENT,
    as_good_as,
    percent,
    random_trials,
    within_noise,
)


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
        parts += [_reach(land)] if as_good_as(land) else []
        parts += [_early(land, found), _variance(land)]
    parts += [_curse(land, found)]
    parts += [_noise(land, noise)] if noise else []
    parts += _fidelity(land)
    return [*parts, _axes(land), *([] if land.whole else [_unsaid(land)])]


def _random(land: Landscape, found: BestOf) -> Section:
    size = len(land.trials)
    of = f"all {size:,} configurations" if land.whole else f"the {size:,} trained"
    rows = ", ".join(
        f"{number_text(found.mean[n - 1])} for n = {n:,}"
        for n in (1, 5, 20, 100, 1000)
        if n <= size
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
                + (" ◇ published." if land.manifest.problem.references else ""),
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
            f"To hold one of the {name} with a chance of {percent(CONFIDENT)} takes "
            f"{counted(needed_for(size, count, CONFIDENT), 'trial')}."
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
    n = random_trials(land)
    expected = float(found.mean[n - 1])
    in_order = incumbents(land.values, land.mode)
    as_good = int(np.argmax((in_order == expected) | land.better(in_order, expected))) + 1
    return Section(
        "A sweep stopped early",
        [
            f"The first {counted(n, 'trial')} in grid order reach {number_text(in_order[n - 1])}, "
            f"where random search reaches {number_text(expected)} on average; that takes, in grid "
            "order, "
            f"{counted(as_good, 'trial')}.",
            "Evenly spaced trials are spread over the grid as random ones are; how well they do "
            "depends on how their spacing meets the axes, and so on n.",
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
    title = "What matters"
    if land.without:
        return Section(
            title,
            [
                "The shares of variance are defined for a table without holes, and "
                f"{land.without:,} trials have no result."
            ],
            [],
        )
    names = list(land.grid.axes)
    shape = [len(values) for values in land.grid.axes.values()]
    shares = {
        column: functional_anova(scores.reshape(shape), names)
        for column in dict.fromkeys([land.metric, "val_loss"])
        if np.isfinite(scores := scores_of(land.trials, column)).all() and np.ptp(scores) > 0
    }
    if not shares:
        return Section(title, ["Nothing does: all configurations are equal."], [])
    said = []
    for column, table in shares.items():
        largest = table[:-1].head(3)
        part = ", ".join(
            f"{name} {percent(share)}"
            for name, share in zip(largest["axes"], largest["share"], strict=True)
        )
        rest = f"; sets of three axes and more {percent(table['share'].iloc[-1])}"
        said.append(f"Of the variance of {column}: {part}{rest if len(names) > 2 else ''}.")
    return Section(
        title,
        [*said, "Exact functional ANOVA of the whole table (Hoeffding's decomposition)."],
        [
            (
                figures.svg(functools.partial(figures.effects, shares=shares), height=4.6),
                "The largest main effects and interactions of two axes (×).",
            )
        ],
    )


def _curse(land: Landscape, found: BestOf) -> Section:
    gap = found.optimism(land.mode)
    said = [f"{gap[n - 1]:+.4f} after {n:,}" for n in (1, 20, 1000) if n <= len(gap)]
    of = "" if land.whole else " of those trained"
    return Section(
        "The winner's curse",
        [
            f"By how much the {land.metric} of what is chosen is better than its "
            f"{land.test_metric}, on average: {', '.join(said)} random trials{of}.",
            "Of one trial nothing is chosen: its gap is the difference of the two sets of data. "
            "What is above that is the price of choosing.",
        ],
        [
            (
                figures.svg(functools.partial(figures.winners_curse, land=land, found=found)),
                "By how much the chosen looks better in validation than on the test data.",
            )
        ],
    )


def _noise(land: Landscape, noise: Noise) -> Section:
    known = len(land.trials) - land.without
    said = [
        f"{noise.trials:,} configurations were trained with the seeds "
        f"{', '.join(map(str, noise.seeds))}: {percent(noise.share)} of the variance of "
        f"{land.metric} is between configurations, the rest between seeds."
        if not np.isnan(noise.share)
        else f"{noise.trials:,} configurations were trained with several seeds, and are all equal.",
        f"Among the best {noise.top_trials:,} of them the standard deviation between seeds is "
        f"{number_text(noise.top_deviation)}, so that two trainings there differ by up to "
        f"{number_text(noise.resolution)} ({percent(CONFIDENT)}) for no reason but the seed: "
        f"{within_noise(land, noise):,} of {known:,} configurations are no further from the best, "
        f"{number_text(land.best)}.",
        f"The best by seed {noise.seeds[0]} among them, {number_text(noise.chosen)}, has "
        f"{number_text(noise.chosen_again)} with the others.",
    ]
    if not np.isnan(noise.correlation):
        among = f", {noise.top_correlation:.2f} in the best tenth by one of them"
        said.append(
            f"Two seeds rank the configurations with a correlation of {noise.correlation:.2f}"
            f"{'' if np.isnan(noise.top_correlation) else among} (Spearman)."
        )
    return Section(
        "What is noise",
        said,
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
    of = "" if land.whole else " of those trained"
    said = [
        f"Ranks of {row.trajectories:,} trainings after {row.epochs:,} and {longest:,} epochs have "
        f"a correlation of {row.correlation:.3f} (Spearman). Of the best 1%{of} after {longest:,}, "
        f"{share} are among the best 1% after {row.epochs:,} already; training only the one that "
        f"leads then to the end costs {number_text(row.regret)} of {land.metric}."
        for row, share in zip(table.itertuples(), map(percent, table["top_share"]), strict=True)
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
    shown = figures.middle_and_best(land)
    return Section(
        "By value of each axis",
        [
            f"{land.metric} over {'the whole grid' if land.whole else 'the trials trained'}. "
            "Lines that end at the frame run on."
        ],
        [
            (
                figures.svg(
                    functools.partial(figures.by_axis, land=land, axis=axis, shown=shown),
                    height=2.6,
                ),
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
            "another order, and what share each axis has in the variance, only a run with "
            "--sweep all can tell.",
        ],
        [],
    )
