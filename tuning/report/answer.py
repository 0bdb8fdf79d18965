"""The findings of a run in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.best_of_n import BestOf, chance_of_top, needed_for
from tuning.analysis.compare import Comparison
from tuning.analysis.grid_scores import GridScores
from tuning.analysis.seed_noise import Noise, within_noise
from tuning.report.terminal import duration
from tuning.report.text import counted, named, number_text, percent
from tuning.samplers import title_of
from tuning.space.grid import Grid

TRIALS = 20  # of the random search a whole grid's answer is about, if the run had none
CONFIDENT = 0.95


def answer(
    comparison: Comparison, scores: GridScores | None, found: BestOf | None, noise: Noise | None
) -> list[str]:
    """The findings of a run; of a whole grid, those of every random search there could be.

    Parameters
    ----------
    comparison : Comparison
    scores : GridScores, optional
        None if no trial has a result.
    found : BestOf, optional
        Of the scores, at least up to the trials of the random search that is judged.
    noise : Noise, optional
        Between seeds.
    """
    if scores is None or found is None or not scores.is_whole:
        return comparison_sentences(comparison)
    n = random_trials(scores)
    return [
        _best(scores),
        _random_search(scores, found, n),
        *_chance_of_the_best(scores, n),
        *([_within_noise(scores, noise)] if noise else []),
        *_of_others(comparison),
    ]


def question(comparison: Comparison, scores: GridScores) -> str:
    """What the page of a run answers: of a whole grid about random search, else about its own."""
    if scores.is_whole:
        return "How good is a random search?"
    names = [in_sentence(str(strategy)) for strategy in comparison.last.index]
    if len(names) == 1:
        return f"What did {names[0]} find?"
    return f"Which found the best: {', '.join(names[:-1])} or {names[-1]}?"


def caveat(scores: GridScores) -> list[str]:
    """The limits of what a part of a grid says; nothing for a whole one."""
    if scores.is_whole:
        return []
    of = f" of the grid's {scores.space.size:,}" if isinstance(scores.space, Grid) else ""
    return [
        f"All of this is about the {len(scores.trials):,}{of} configurations that were trained, "
        "and says nothing of the others."
    ]


def _best(scores: GridScores) -> str:
    """The best of the whole grid, and how well it and its equals do on the test data."""
    best, value = scores.ranks == 1, number_text(scores.best)
    of = f"Of all {scores.grid.size:,} configurations"
    if scores.without_result:
        of += f" ({scores.without_result:,} without a result)"
    tests = [] if scores.tests is None else scores.tests[best]
    if best.sum() == 1:
        test = "".join(f" and {scores.test_metric} {number_text(test)}" for test in tests)
        return f"{of} the best has {scores.metric} {value}{test}."
    equal = f"{of} the best {best.sum():,}"
    if scores.tests is None:
        return f"{equal} are equal in {scores.metric} at {value}."
    return (
        f"{equal}, equal in {scores.metric} at {value}, have {scores.test_metric} "
        f"{number_text(min(tests))} to {number_text(max(tests))}."
    )


def _random_search(scores: GridScores, found: BestOf, n: int) -> str:
    """What a random search of n trials finds."""
    i = n - 1
    said = (
        f"A random search of {counted(n, 'trial')} finds {number_text(found.mean[i])} on average "
        f"({number_text(found.low[i])} to {number_text(found.high[i])} in nine of ten)"
    )
    if scores.tests is None:
        return f"{said}."
    return (
        f"{said}, and what it chooses has {scores.test_metric} "
        f"{number_text(found.chosen_mean[i])} ({number_text(found.chosen_low[i])} to "
        f"{number_text(found.chosen_high[i])})."
    )


def _chance_of_the_best(scores: GridScores, n: int) -> list[str]:
    """How likely n random trials include one of the best 1%, if the grid has that many."""
    if not (top := scores.top_counts().get("1%")):
        return []
    chance = chance_of_top(scores.grid.size, top[1], np.array(n))
    needed = needed_for(scores.grid.size, top[1], CONFIDENT)
    return [
        f"With a chance of {percent(float(chance))}, {counted(n, 'random trial')} include one as "
        f"good as the best 1%; a chance of {percent(CONFIDENT)} takes {counted(needed, 'trial')}."
    ]


def _within_noise(scores: GridScores, noise: Noise) -> str:
    return (
        f"{within_noise(scores, noise):,} configurations are within seed-to-seed noise of the best "
        f"{scores.metric}."
    )


def random_trials(scores: GridScores) -> int:
    """The trials of the random search that is judged: the run's own, or 20."""
    asked: int = scores.manifest.strategies.get("random", {}).get("trials", TRIALS)
    return min(asked, len(scores.trials))


def comparison_sentences(comparison: Comparison) -> list[str]:
    """Each strategy's best, and the verdict between both at an equal number of trials."""
    metric, size = comparison.metric, comparison.manifest.space.size
    found = [
        _found(strategy, row, comparison.score_names, size) + _choice(comparison, str(strategy))
        for strategy, row in comparison.last.iterrows()
    ]
    if said := _at_equal_time(comparison):
        return [*found, *said]
    if set(comparison.last.index) != {"random", "sweep"}:
        return [*found, *_at_equal_epochs(comparison)]
    n = comparison.equal_budget
    random, sweep = (comparison.after(strategy, n) for strategy in ("random", "sweep"))
    gain = random[metric] - sweep[metric]
    if np.isnan(gain):
        verdict = "a strategy without a result cannot be compared"
    elif gain == 0:
        verdict = "they found equally good networks"
    else:
        ahead = (gain > 0) == (comparison.mode == "max")
        verdict = f"{'random search' if ahead else 'the sweep'} found the better network"
    expected = ""
    if len(comparison.of("sweep")) > n:
        value = number_text(sweep[f"expected_{metric}"])
        expected = f" (any {n:,} of its trials: {value} expected)"
    return [
        *found,
        f"At an equal budget of {counted(n, 'trial')}, random search reached "
        f"{number_text(random[metric])} and the sweep's first {n:,} {number_text(sweep[metric])}"
        f"{expected}: {verdict}.",
    ]


def _found(
    strategy: Any, row: Mapping[str, Any] | pd.Series[Any], names: list[str], size: float
) -> str:
    """What a strategy chose, and what it took to find it."""
    name = title_of(str(strategy)).capitalize()
    share = f" of the grid's {size:,}" if strategy == "sweep" else ""
    spent = f"{counted(row['trials'], 'trial')}{share}, {counted(row['total_epochs'], 'epoch')}, "
    spent += f"{duration(row['total_cpu_seconds'])} of one CPU"
    if pd.isna(row[names[0]]):
        return f"{name} ({spent}) trained no model with a result."
    reached = ", ".join(f"{name} {number_text(row[name])}" for name in names)
    return f"{name} ({spent}) found {reached} at best, with {named(row)}."


def _choice(comparison: Comparison, strategy: str) -> str:
    """What a strategy would choose, and what to expect of it."""
    if (choice := comparison.choices.get(strategy)) is None:
        return ""
    expected = f"{number_text(choice.expected)} ± {choice.deviation:.1g}"
    test = ""
    if comparison.test_metric:
        test = (
            f"; it has {comparison.test_metric} {number_text(choice.row[comparison.test_metric])}"
        )
    key = "trial" if pd.isna(choice.row["index"]) else "index"  # of a space that is no grid
    same = comparison.last.loc[strategy, key] == choice.row[key]
    which = "this one" if same else named(choice.row)
    return f" It would choose {which}, of which to expect {comparison.metric} {expected}{test}."


def _of_others(comparison: Comparison) -> list[str]:
    """What strategies found that a whole grid alone does not tell of."""
    if said := _at_equal_time(comparison):
        return said
    if set(comparison.last.index) <= {"random", "sweep"}:
        return []
    return _at_equal_epochs(comparison)


def _at_equal_time(comparison: Comparison) -> list[str]:
    """Which strategy found the best in the same time, and by how much."""
    metric, up = comparison.metric, comparison.mode == "max"
    best = comparison.last[metric].dropna().sort_values(ascending=not up, kind="stable")
    seconds = comparison.seconds.get(comparison.manifest.budget.get("as_long_as", ""))
    if len(best) < 2 or seconds is None:
        return []
    often = _how_often(comparison, str(best.index[0]), str(best.index[1]), seconds)
    return [f"In {duration(seconds)} each, {_verdict(best)}.", *often]


def _at_equal_epochs(comparison: Comparison) -> list[str]:
    """Which of several strategies found the best with the epochs of the one that trained least."""
    if len(comparison.last) < 2:
        return []
    most = comparison.last["total_epochs"].min()
    table = comparison.table[comparison.table["total_epochs"] <= most]
    reached = table.groupby("strategy")[comparison.metric].last().dropna()
    if len(reached) < 2:
        return []
    best = reached.sort_values(ascending=comparison.mode == "min", kind="stable")
    return [f"At an equal budget of {counted(most, 'epoch')}, {_verdict(best)}."]


def _verdict(best: pd.Series[float]) -> str:
    """What each strategy reached, the best first, and which one won."""
    said = ", ".join(
        f"{title_of(str(name))} reached {number_text(value)}" for name, value in best.items()
    )
    gain = abs(best.iloc[0] - best.iloc[1])
    first, second = (title_of(str(name)) for name in best.index[:2])
    won = f"{first} won, by {number_text(gain)} over {second}"
    return f"{said}: {won if gain else f'{first} and {second} found equally good networks'}"


def in_sentence(strategy: str) -> str:
    """A strategy as a sentence names it: ``a sweep``."""
    return "a sweep" if strategy == "sweep" else title_of(strategy)


def _how_often(comparison: Comparison, first: str, second: str, seconds: float) -> list[str]:
    """How often one of two strategies beats the other, if the problem knows it of such a time."""
    pair = {first, second}
    known = [
        each
        for each in comparison.manifest.problem.references
        if {each.get("strategy"), each.get("beats")} == pair
    ]
    if not known:
        return []
    near = min(known, key=lambda each: abs(math.log(each["seconds"] / seconds)))
    return [
        f"In {near['searches']:,} simulated searches of {near['seconds']:g} s over the table of "
        f"all configurations, {title_of(near['strategy'])} found the better network in "
        f"{percent(near['share'])}, and {title_of(near['beats'])} in {percent(near['lost'])}."
    ]


def steadiness_sentence(again: pd.DataFrame, metric: str) -> str:
    """How far trials moved that were trained again.

    Parameters
    ----------
    again : DataFrame
        As `tuning.runs.table.load_again` returns it.
    metric : str
    """
    what = f"{len(again):,} trials were trained again from weights moved by a rounding error"
    moved = again.dropna(subset="moved").sort_values("moved")
    if moved.empty:
        return f"{what}: none came to a result."
    if not moved["moved"].any():
        return f"{what}: none moved in {metric}."
    best, worst = again["moved"].head(len(again) - len(again) // 2), moved.iloc[-1]
    return (
        f"{what}: in {metric} the best {len(best):,} moved by at most {best.max():.2g}, and the "
        f"least steady, configuration {worst['index']:,.0f}, by {worst['moved']:.2g}."
    )
