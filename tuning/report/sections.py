"""The sections of a run's page: the text of each, and its figures."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from tuning.analysis.best_of_n import BestOf, needed_for
from tuning.analysis.compare import Comparison
from tuning.analysis.fidelity import fidelities
from tuning.analysis.grid_scores import GridScores
from tuning.analysis.partial_sweep import incumbents, stopped_early
from tuning.analysis.run_view import scores_of
from tuning.analysis.seed_noise import Noise, within_noise
from tuning.analysis.variance import functional_anova
from tuning.report import figures
from tuning.report.answer import CONFIDENT, in_sentence, random_trials
from tuning.report.style import svg
from tuning.report.text import counted, number_text, percent, size_text
from tuning.samplers import gives_each_once
from tuning.space.grid import Grid


@dataclass(frozen=True)
class Section:
    """A section of the page: heading, text, and figures, each an SVG element and its caption."""

    title: str
    text: list[str]
    figures: list[tuple[str, str]]


def sections(
    comparison: Comparison, scores: GridScores, found: BestOf, noise: Noise | None
) -> list[Section]:
    """The sections that the scores support, in the order of the page."""
    parts = [] if scores.is_whole else [_strategies(comparison)]
    parts += [_random(scores, found)]
    if scores.is_whole:
        parts += [_reach(scores)] if scores.top_counts() else []
        parts += [_early(scores, found), _variance(scores)]
    parts += [_curse(scores, found)] if scores.test_metric else []
    parts += [_noise(scores, noise)] if noise else []
    parts += _fidelity(scores)
    return [*parts, _axes(scores), *([] if scores.is_whole else [_unsaid(scores)])]


def _strategies(comparison: Comparison) -> Section:
    names = [in_sentence(str(strategy)) for strategy in comparison.last.index]
    several = len(names) > 1
    learnt = any(not gives_each_once(str(strategy)) for strategy in comparison.last.index)
    each = "a training that was stopped at a rung and one that went on are a trial each"
    return Section(
        "What each strategy found" if several else f"What {names[0]} found",
        [
            f"The best {comparison.metric} so far, after each trial"
            + (f"; {each}." * learnt or "."),
        ],
        [
            (
                svg(functools.partial(figures.best_so_far, comparison=comparison)),
                f"The best {comparison.metric} of {', '.join(names)} after each trial.",
            )
        ],
    )


def _random(scores: GridScores, found: BestOf) -> Section:
    size = len(scores.trials)
    of = f"all {size:,} configurations" if scores.is_whole else f"the {size:,} trained"
    test = ", and the test score of what was chosen" if scores.test_metric else ""
    rows = ", ".join(
        f"{number_text(found.mean[n - 1])} for n = {n:,}"
        for n in (1, 5, 20, 100, 1000)
        if n <= size
    )
    return Section(
        "What n random trials find",
        [
            f"The best {scores.metric} of n trials drawn from {of}, on average: {rows}.",
            "Exact, from the order statistics of a draw without replacement; no simulation.",
        ],
        [
            (
                svg(functools.partial(figures.best_of_n, scores=scores, found=found)),
                f"The best of n trials drawn from {of}{test}: mean, and where it lies in nine of "
                "ten searches." + (" ◇ published." if scores.manifest.problem.published else ""),
            )
        ],
    )


def _reach(scores: GridScores) -> Section:
    size = scores.grid.size
    top = {
        f"best {name}" + (f" ({count:,} with equals)" if count > whole else ""): count
        for name, (whole, count) in scores.top_counts().items()
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
                svg(functools.partial(figures.chances, size=size, tops=top)),
                "The chance that n random trials hold one of the best.",
            )
        ],
    )


def _early(scores: GridScores, found: BestOf) -> Section:
    early = stopped_early(scores)
    n = random_trials(scores)
    expected = float(found.mean[n - 1])
    in_order = incumbents(scores.values, scores.mode)
    as_good = int(np.argmax((in_order == expected) | scores.is_better(in_order, expected))) + 1
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
                svg(
                    functools.partial(figures.early_sweeps, scores=scores, found=found, early=early)
                ),
                "The best after n trials: in grid order, evenly spaced, and at random.",
            )
        ],
    )


def _variance(scores: GridScores) -> Section:
    title = "What matters"
    if scores.without_result:
        return Section(
            title,
            [
                "The shares of variance are defined for a table without holes, and "
                f"{scores.without_result:,} trials have no result."
            ],
            [],
        )
    names = list(scores.grid.axes)
    shape = [len(values) for values in scores.grid.axes.values()]
    shares = {
        column: functional_anova(values.reshape(shape), names)
        for column in dict.fromkeys([scores.metric, "val_loss"])
        if np.isfinite(values := scores_of(scores.trials, column)).all() and np.ptp(values) > 0
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
                svg(functools.partial(figures.effects, shares=shares), height=4.6),
                "The largest main effects and interactions of two axes (×).",
            )
        ],
    )


def _curse(scores: GridScores, found: BestOf) -> Section:
    gap = found.optimism(scores.mode)
    said = [f"{gap[n - 1]:+.4f} after {n:,}" for n in (1, 20, 1000) if n <= len(gap)]
    of = "" if scores.is_whole else " of those trained"
    return Section(
        "The winner's curse",
        [
            f"By how much the {scores.metric} of what is chosen is better than its "
            f"{scores.test_metric}, on average: {', '.join(said)} random trials{of}.",
            "Of one trial nothing is chosen: its gap is the difference of the two sets of data. "
            "What is above that is the price of choosing.",
        ],
        [
            (
                svg(functools.partial(figures.winners_curse, scores=scores, found=found)),
                "By how much the chosen looks better in validation than on the test data.",
            )
        ],
    )


def _noise(scores: GridScores, noise: Noise) -> Section:
    known = len(scores.trials) - scores.without_result
    said = [
        f"{noise.trials:,} configurations were trained with the seeds "
        f"{', '.join(map(str, noise.seeds))}: {percent(noise.share)} of the variance of "
        f"{scores.metric} is between configurations, the rest between seeds."
        if not np.isnan(noise.share)
        else f"{noise.trials:,} configurations were trained with several seeds, and are all equal.",
        f"Among the best {noise.top_trials:,} of them the standard deviation between seeds is "
        f"{number_text(noise.top_deviation)}, so that two trainings there differ by up to "
        f"{number_text(noise.resolution)} ({percent(CONFIDENT)}) for no reason but the seed: "
        f"{within_noise(scores, noise):,} of {known:,} configurations are within this of the best, "
        f"{number_text(scores.best)}.",
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
                svg(functools.partial(figures.indistinguishable, scores=scores, noise=noise)),
                f"{scores.metric} by rank; the band is what noise alone could take from the best.",
            )
        ],
    )


def _fidelity(scores: GridScores) -> list[Section]:
    table = fidelities(scores)
    if table.empty:
        return []
    longest = int(scores.trials["epochs"].max())
    first = int(table["epochs"].iloc[0])
    of = "" if scores.is_whole else " of those trained"
    said = [
        f"Ranks of {row.trajectories:,} trainings after {row.epochs:,} and {longest:,} epochs have "
        f"a correlation of {row.correlation:.3f} (Spearman). Of the best 1%{of} after {longest:,}, "
        f"{share} are among the best 1% after {row.epochs:,} already; training only the one that "
        f"leads then to the end costs {number_text(row.regret)} of {scores.metric}."
        for row, share in zip(table.itertuples(), map(percent, table["top_share"]), strict=True)
    ]
    drawn = functools.partial(
        figures.shorter_trainings, scores=scores, epochs=first, longest=longest
    )
    return [
        Section(
            "What shorter trainings tell",
            said,
            [(svg(drawn), f"Ranks after {counted(first, 'epoch')} and after {longest:,}.")],
        )
    ]


def _axes(scores: GridScores) -> Section:
    limits = figures.middle_and_best(scores)
    of = "the whole grid" if scores.is_whole else "the trials trained"
    return Section(
        "By value of each axis",
        [f"{scores.metric} over {of}. Whiskers cut at the frame extend beyond it."],
        [
            (
                svg(
                    functools.partial(figures.by_axis, scores=scores, axis=axis, limits=limits),
                    height=2.6,
                ),
                f"{axis}: median, the middle half, and nine tenths.",
            )
            for axis in scores.space.parameters
        ],
    )


def _unsaid(scores: GridScores) -> Section:
    if not isinstance(scores.space, Grid):
        return Section(
            "What this run cannot say",
            [
                "How near the trials come to the best there is: the space has "
                f"{size_text(scores.space)}, and what is said here is of those that were trained."
            ],
            [],
        )
    missing = scores.space.size - len(scores.trials)
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
