"""The configuration that a search would choose, and what its score should be on new data.

The best single score of many is lucky as well as good. A choice is made by a score that is
smoothed twice: over the second half of the training's epochs, and towards what a model expects of
the configuration from all the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.run_view import scores_of
from tuning.runs.columns import TRAINED, configuration_of_row
from tuning.runs.manifest import Manifest
from tuning.runs.table import ROWS_AT_ONCE, points_of
from tuning.samplers.surrogate import Surrogate
from tuning.space.space import Space

OWN_SHARE = 0.5  # of a trial's own score against the model's, where there are no curves
MOST = 4_000  # trials that the model learns from
JUDGED = 50_000  # trials whose expectation is computed: of more the best, and a sample
FEWEST = 3  # below which there is nothing to choose by


@dataclass(frozen=True)
class Choice:
    """The trial that a strategy's results speak for.

    Attributes
    ----------
    strategy : str
    row : Series
        Of `tuning.load_results`.
    expected : float
        What the metric that chooses should be on data like the validation data.
    deviation : float
        The standard deviation of a trial's score around its expectation, among the better half.
    """

    strategy: str
    row: pd.Series
    expected: float
    deviation: float


def choices(results: pd.DataFrame, curves: pd.DataFrame, manifest: Manifest) -> dict[str, Choice]:
    """The choice of each strategy of a run, by the trials of all of them.

    Parameters
    ----------
    results, curves : DataFrame
        As `tuning.load_results` and `tuning.load_curves` return them.
    manifest : Manifest

    Returns
    -------
    dict of str to Choice
        Without strategies that have fewer than three trials with a result.
    """
    rows = _with_expectation(results, curves, manifest)
    found = {str(strategy): _chosen(own, manifest) for strategy, own in rows.groupby("strategy")}
    return {strategy: choice for strategy, choice in found.items() if choice is not None}


def choice_of_all(results: pd.DataFrame, curves: pd.DataFrame, manifest: Manifest) -> Choice | None:
    """The choice among all trials; None if fewer than three have a result.

    Parameters
    ----------
    results, curves, manifest
        As for `choices`.
    """
    return _chosen(_with_expectation(results, curves, manifest), manifest)


def best_by_choice(
    results: pd.DataFrame, curves: pd.DataFrame, manifest: Manifest, n: int
) -> pd.DataFrame:
    """The trials of which to expect most, the best first, each configuration once.

    Parameters
    ----------
    results, curves, manifest
        As for `choices`.
    n : int
        How many at most.

    Returns
    -------
    DataFrame
        Rows of `results` of trials that were trained to their end; by their own scores where fewer
        than three trials have a result.
    """
    rows, by = _with_expectation(results, curves, manifest), "expected"
    if rows.empty:
        by = manifest.problem.metric
        rows = results[np.isfinite(scores_of(results, by))]
    ended = rows[rows["status"] == "ok"]
    ascending = manifest.problem.mode == "min"
    ordered = ended.sort_values(by, ascending=ascending, kind="stable")
    once = ordered[~points_of(ordered, manifest.space).duplicated()]
    best: pd.DataFrame = once[list(results)].head(n)
    return best


def _with_expectation(
    results: pd.DataFrame, curves: pd.DataFrame, manifest: Manifest
) -> pd.DataFrame:
    """The trials with a score, with two columns more: what to expect, and its deviation."""
    metric = manifest.problem.metric
    scored = results[np.isfinite(_judged(results, metric))]
    if len(scored) < FEWEST:
        none: pd.DataFrame = scored.iloc[:0].assign(expected=0.0, deviation=0.0)
        return none
    fair = np.ones(len(scored), bool)
    if len(scored) > JUDGED:
        places, fair = _some(scored, manifest)
        scored = scored.iloc[places]
    smooth, spread = _smoothed(scored, curves, metric)
    expected, deviation = _expected(scored, smooth, spread, fair, manifest)
    found: pd.DataFrame = scored.assign(expected=expected, deviation=deviation)
    return found


def _some(rows: pd.DataFrame, manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """The places of the best trials of each strategy and of a sample, and which are the sample."""
    scores = pd.Series(_judged(rows, manifest.problem.metric))
    strategies = rows["strategy"].to_numpy()
    ranks = scores.groupby(strategies).rank(ascending=manifest.problem.mode == "min")
    best = ranks.to_numpy() <= JUDGED // 2 // max(1, len(set(strategies)))
    sample = np.unique(np.linspace(0, len(rows) - 1, JUDGED // 2).astype(int))
    places = np.union1d(np.flatnonzero(best), sample)
    return places, np.isin(places, sample)


def _chosen(rows: pd.DataFrame, manifest: Manifest) -> Choice | None:
    """The trial with the best expectation, of those that were trained to their end."""
    candidates = rows[rows["status"] == "ok"]
    if len(candidates) < FEWEST:
        return None
    own = candidates["expected"].to_numpy(float)
    row = candidates.iloc[int(np.argmax(own if manifest.problem.mode == "max" else -own))]
    return Choice(
        str(row["strategy"]),
        row.drop(["expected", "deviation"]),
        float(row["expected"]),
        float(row["deviation"]),
    )


def _judged(rows: pd.DataFrame, metric: str) -> np.ndarray:
    """The scores of trials with a result and of those that were stopped; NaN of others."""
    stopped = rows[metric].where(rows["status"] == "stopped").to_numpy(float, na_value=np.nan)
    return np.where(rows["status"] == "stopped", stopped, scores_of(rows, metric))


def _smoothed(
    rows: pd.DataFrame, curves: pd.DataFrame, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and standard deviation of each trial's scores over the second half of its epochs.

    Its own score and NaN where its curve is not there, as in published tables, whose shorter
    trainings are the beginnings of longer ones.
    """
    keys = ["strategy", "trial"]
    lengths = rows.set_index(keys)[TRAINED]
    own = curves.join(lengths.rename("length"), on=keys, how="inner")
    late = own[(own["epoch"] > own["length"] / 2) & (own["epoch"] <= own["length"])]
    if late.empty:
        return rows[metric].to_numpy(float), np.full(len(rows), np.nan)
    found = late.groupby(keys)[metric].agg(["mean", "std"]).reindex(lengths.index)
    smooth = found["mean"].to_numpy(float)
    spread = found["std"].to_numpy(float)
    return np.where(np.isfinite(smooth), smooth, rows[metric].to_numpy(float)), spread


def _expected(
    rows: pd.DataFrame,
    smooth: np.ndarray,
    spread: np.ndarray,
    fair: np.ndarray,
    manifest: Manifest,
) -> tuple[pd.Series, float]:
    """What each trial's score is expected to be, and how far scores are from that.

    A trial's own score counts against the model's the more, the less it is noise: its share is one
    less the variance between epochs over that of the model's errors, as James and Stein shrink
    means (Fourth Berkeley Symposium, 1961). What is said of all trials is by those that are `fair`.
    """
    space, mode = manifest.space, manifest.problem.mode
    lengths = rows[TRAINED].tolist()
    model = Surrogate(space, max(1, *lengths), mode)
    known = np.flatnonzero(fair)
    taken = known[np.unique(np.linspace(0, len(known) - 1, min(MOST, len(known))).astype(int))]
    learnt = _configurations(rows.iloc[taken], space)
    model.add(learnt, [lengths[i] for i in taken], smooth[taken].tolist())
    parts = (rows.iloc[i : i + ROWS_AT_ONCE] for i in range(0, len(rows), ROWS_AT_ONCE))
    encoded = np.concatenate([model.encode(_configurations(part, space)) for part in parts])
    scale, values = model.scale, model.mean(encoded, lengths)
    away = scale.forward(smooth) - values
    better = fair & (values >= np.median(values[fair]))
    noise = scale.forward(smooth + spread / 2) - scale.forward(smooth - spread / 2)
    noise = noise[better & np.isfinite(spread)]
    share = OWN_SHARE
    if len(noise) and (errors := float(np.mean(away[better] ** 2))):
        share = min(1.0, max(0.0, 1 - float(np.mean(noise**2)) / errors))
    expected = scale.back(values + share * away)
    apart = rows[manifest.problem.metric].to_numpy(float)[better] - expected[better]
    return pd.Series(expected, rows.index), float(np.sqrt(np.mean(apart**2)))


def _configurations(rows: pd.DataFrame, space: Space) -> list[dict[str, Any]]:
    """The configurations of rows."""
    each: list[Any] = rows[["index", *space.parameters]].to_dict("records")
    return [configuration_of_row(row, space) for row in each]
