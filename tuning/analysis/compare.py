"""The best that each strategy had found after each of its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.best_of_n import best_of
from tuning.analysis.choice import Choice, choices
from tuning.analysis.run_view import RunView, complete_scores
from tuning.problem.problem import Mode
from tuning.runs.columns import TRAINED
from tuning.runs.manifest import Manifest
from tuning.samplers import gives_each_once
from tuning.space.labels import cell_text
from tuning.trial import KERAS_EPOCHS


def best_so_far(values: np.ndarray, mode: Mode) -> np.ndarray:
    """The place of the best of the first n values, for each n.

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
class Comparison(RunView):
    """The best so far of each strategy of a run, after each trial.

    Attributes
    ----------
    table : DataFrame
        One row for each strategy and number of trials n, in the strategy's own order:
        ``strategy``, ``trials`` (n), ``total_epochs`` and ``total_cpu_seconds`` spent on them, the
        metric's best so far and, with test data, that model's test value, its ``trial`` and
        ``index``, its configuration, and ``expected_…``: the mean of these values if the n trials
        were drawn at random from all of the strategy's (`tuning.analysis.best_of_n.best_of`).
    manifest : Manifest
    choices : dict of str to Choice
        What each strategy would choose; empty where its curves were not read.
    seconds : dict of str to float
        Of wall clock that each strategy's search has taken, where it is known.
    """

    table: pd.DataFrame
    choices: dict[str, Choice] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

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


def compare(
    results: pd.DataFrame,
    manifest: Manifest,
    curves: pd.DataFrame | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Comparison:
    """Follow the best result of each strategy over its trials.

    Parameters
    ----------
    results : DataFrame
        As `tuning.load_results` returns it.
    manifest : Manifest
        The run's.
    curves : DataFrame, optional
        As `tuning.load_curves` returns it, to say what each strategy would choose.
    seconds : mapping of str to float, optional
        Of wall clock that each strategy's search has taken.
    """
    view = RunView(manifest)
    names, mode = view.score_names, view.mode
    parts = []
    for strategy, rows in results.groupby("strategy", sort=True):
        ordered = rows.sort_values("trial", kind="stable", ignore_index=True)
        values, *tests = complete_scores(ordered, names)
        best = best_so_far(values, mode)
        chosen = ordered.iloc[np.maximum(best, 0)].reset_index(drop=True)
        nothing = pd.Series(best < 0)
        epochs = _epochs(ordered, manifest, gives_each_once(str(strategy)))
        part = pd.DataFrame(
            {
                "strategy": strategy,
                "trials": np.arange(1, len(ordered) + 1),
                "total_epochs": epochs.cumsum(),
                "total_cpu_seconds": ordered["train_seconds"].fillna(0.0).cumsum().round(3),
                **{name: chosen[name].mask(nothing) for name in names},
                "trial": chosen["trial"].astype(object).mask(nothing, None),
                "index": chosen["index"].astype(object).mask(nothing, None),
            }
        )
        for axis in manifest.space.parameters:
            part[axis] = chosen[axis].mask(nothing)
        expected = best_of(values, mode, *tests)
        for name, means in zip(names, (expected.mean, expected.chosen_mean), strict=False):
            part[f"expected_{name}"] = means
        parts.append(part)
    found = {} if curves is None else choices(results, curves, manifest)
    return Comparison(manifest, pd.concat(parts, ignore_index=True), found, dict(seconds or {}))


def _epochs(rows: pd.DataFrame, manifest: Manifest, each_once: bool) -> pd.Series[int]:
    """The epochs of each trial of a strategy, in its order.

    Of one that ended early, those that it was trained; of a strategy that has trainings go on,
    those beyond what it had trained of it before.
    """
    if each_once:
        meant = rows.get("epochs", pd.Series(KERAS_EPOCHS, rows.index)).fillna(KERAS_EPOCHS)
        ended = rows["status"].isin(["ok", "stopped"])
        return meant.mask(ended, rows.get(TRAINED, meant)).astype(int)
    same = [name for name in manifest.space.parameters if name != "epochs"]
    groups = rows.groupby([rows[name].map(cell_text) for name in same], sort=False)[TRAINED]
    before = groups.transform(lambda own: own.cummax().shift(fill_value=0))
    return (rows[TRAINED] - before).clip(lower=0)
