"""Random search against the sweep: what each had found after how much work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.best_of_n import best_of
from tuning.analysis.run_view import Judged, scores_of, test_metric
from tuning.problem.problem import Mode
from tuning.report.terminal import duration
from tuning.runs.manifest import Manifest
from tuning.trial import KERAS_EPOCHS

STRATEGIES = {"random": "random search", "sweep": "sweep"}


def strategy_name(strategy: Any) -> str:
    """A strategy as sentences, tables and figures call it."""
    return STRATEGIES.get(strategy, str(strategy))


def best_so_far(values: np.ndarray, mode: Mode) -> np.ndarray:
    """For each n, which of the first n values is the best.

    Parameters
    ----------
    values : array of float, shape (n,)
        In the order they were asked for; NaN for trials without a result.
    mode : {"max", "min"}

    Returns
    -------
    array of int, shape (n,)
        Positions in `values`, of the first of equals; -1 as long as all are NaN.
    """
    signed = values if mode == "max" else -values
    best = np.full(len(values), -1)
    incumbent = -1
    for i, value in enumerate(signed):
        if not np.isnan(value) and (incumbent < 0 or value > signed[incumbent]):
            incumbent = i
        best[i] = incumbent
    return best


@dataclass(frozen=True)
class Comparison(Judged):
    """What the strategies of a run had found after each trial.

    Attributes
    ----------
    table : DataFrame
        One row for each strategy and number of trials n, in the strategy's own order:
        ``strategy``, ``trials`` (n), ``total_epochs`` and ``total_cpu_seconds`` spent on them, the
        metric's best so far and that model's test value, its ``trial`` and ``index``, its
        configuration, and ``expected_…``: both values of the best of n drawn at random from all
        that the strategy trained (`tuning.analysis.best_of_n.best_of`).
    manifest : mapping
    """

    table: pd.DataFrame

    @property
    def last(self) -> pd.DataFrame:
        """The last row of each strategy, with the strategy as index."""
        return self.table.groupby("strategy", sort=True).tail(1).set_index("strategy")

    def after(self, strategy: str, trials: int) -> Mapping[str, Any]:
        """The row of a strategy after so many trials."""
        return dict(self.of(strategy).iloc[trials - 1])

    def of(self, strategy: str) -> pd.DataFrame:
        """The rows of one strategy, from its first trial to its last."""
        return self.table[self.table["strategy"] == strategy]

    @property
    def equal_budget(self) -> int:
        """The largest number of trials that every strategy reached; 0 with fewer than two."""
        return int(self.last["trials"].min()) if len(self.last) > 1 else 0


def compare(results: pd.DataFrame, manifest: Manifest) -> Comparison:
    """Follow each strategy's best result over its trials.

    Parameters
    ----------
    results : DataFrame
        As `tuning.load_results` returns it.
    manifest : mapping
        The run's manifest.
    """
    axes = list(manifest.problem.axes)
    metric, mode = manifest.problem.metric, manifest.problem.mode
    test = test_metric(metric)
    parts = []
    for strategy, rows in results.groupby("strategy", sort=True):
        ordered = rows.sort_values("trial", kind="stable", ignore_index=True)
        tests = scores_of(ordered, test)
        values = np.where(np.isnan(tests), np.nan, scores_of(ordered, metric))
        best = best_so_far(values, mode)
        chosen = ordered.iloc[np.maximum(best, 0)].reset_index(drop=True)
        nothing = pd.Series(best < 0)
        epochs = (
            ordered["epochs"] if "epochs" in ordered else pd.Series(KERAS_EPOCHS, ordered.index)
        )
        part = pd.DataFrame(
            {
                "strategy": strategy,
                "trials": np.arange(1, len(ordered) + 1),
                "total_epochs": epochs.cumsum(),
                "total_cpu_seconds": ordered["train_seconds"].fillna(0.0).cumsum().round(3),
                metric: chosen[metric].mask(nothing),
                test: chosen[test].mask(nothing),
                "trial": chosen["trial"].astype(object).mask(nothing, None),
                "index": chosen["index"].astype(object).mask(nothing, None),
            }
        )
        for axis in axes:
            part[axis] = chosen[axis].mask(nothing)
        expected = best_of(values, mode, tests)
        part[f"expected_{metric}"] = expected.mean
        part[f"expected_{test}"] = expected.chosen_mean
        parts.append(part)
    return Comparison(manifest, pd.concat(parts, ignore_index=True))


def sentences(comparison: Comparison) -> list[str]:
    """The comparison in three sentences: each strategy's best, and both at an equal budget."""
    manifest, metric, test = comparison.manifest, comparison.metric, comparison.test_metric
    found = [
        _found(strategy, row, metric, test, manifest.grid.size)
        for strategy, row in comparison.last.iterrows()
    ]
    n = comparison.equal_budget
    if n and not {"random", "sweep"} <= set(comparison.last.index):
        return found
    if n == 0:
        only = "a sweep" if "random" in comparison.last.index else "a random search"
        return [*found, f"With only one strategy there is nothing to compare it with: add {only}."]
    random, sweep = (comparison.after(strategy, n) for strategy in ("random", "sweep"))
    gain = random[metric] - sweep[metric]
    if np.isnan(gain):
        verdict = "a strategy without a result cannot be compared"
    elif gain == 0:
        verdict = "they found equally good networks"
    else:
        ahead = (gain > 0) == (manifest.problem.mode == "max")
        verdict = f"{'random search' if ahead else 'the sweep'} found the better network"
    expected = ""
    if len(comparison.of("sweep")) > n:
        value = number_text(sweep[f"expected_{metric}"])
        expected = f" (any {n:,} of what it trained: {value} expected)"
    return [
        *found,
        f"At an equal budget of {counted(n, 'trial')}, random search reached "
        f"{number_text(random[metric])} and the sweep's first {n:,} {number_text(sweep[metric])}"
        f"{expected}: {verdict}.",
    ]


def _found(
    strategy: Any, row: Mapping[str, Any] | pd.Series[Any], metric: str, test: str, size: int
) -> str:
    name = strategy_name(strategy).capitalize()
    share = f" of the grid's {size:,}" if strategy == "sweep" else ""
    spent = f"{counted(row['trials'], 'trial')}{share}, {counted(row['total_epochs'], 'epoch')}, "
    spent += f"{duration(row['total_cpu_seconds'])} of one CPU"
    if pd.isna(row[metric]):
        return f"{name} ({spent}) trained no model with a result."
    return (
        f"{name} ({spent}) chose configuration {row['index']:,}: "
        f"{metric} {number_text(row[metric])}, {test} {number_text(row[test])}."
    )


def counted(n: Any, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def number_text(value: Any) -> str:
    """A metric as sentences and tables show it."""
    if pd.isna(value):
        return "–"
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 1000 else f"{value:.3g}"
