"""The finalists of a run, ranked by the mean of their trainings with other seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.run_view import RunView, scores_of
from tuning.runs.manifest import Manifest
from tuning.runs.table import points_of

FINALIST = "finalist"  # its name, among the columns of `ranked_finalists`


def ranked_finalists(
    repeats: pd.DataFrame, results: pd.DataFrame, manifest: Manifest
) -> pd.DataFrame:
    """The finalists, the best first, each with what its trainings with other seeds came to.

    Finalists all of whose trainings came to a result stand before the others. A finalist's
    expectation is its mean, moved towards the mean of all finalists by the share of the variance
    between means that the seeds alone explain: the best of several means is lucky, too. The
    variance is that of a random-effects model (DerSimonian & Laird, Controlled Clinical Trials 7,
    1986), in which a finalist whose scores are far apart counts little.

    Parameters
    ----------
    repeats : DataFrame
        As `tuning.runs.finalists.load_finalists` returns it.
    results : DataFrame
        As `tuning.load_results` returns it.
    manifest : Manifest

    Returns
    -------
    DataFrame
        The row of each finalist's best trial in the search, and with it, where ``M`` is the metric
        that chooses: ``finalist`` (its name in ``finalists.csv``), ``M_count`` (how many of its
        trainings came to a result), ``M_std`` (between seeds), ``M_mean``, ``M_sem`` (the standard
        error of the mean), ``M_expected``; and the mean and standard error of the test score, where
        there is test data.
    """
    view, mode = RunView(manifest), manifest.problem.mode
    metric, up = view.metric, mode == "max"
    scored = repeats.assign(**{name: scores_of(repeats, name) for name in view.score_names})
    points = points_of(repeats, manifest.space)
    told = pd.DataFrame(
        {
            own.iloc[0]: _told(scored.loc[own.index], view)
            for _, own in points.groupby(repeats["strategy"], sort=False)
        }
    ).T
    if told.empty:
        return results.iloc[:0].copy()
    told = told.infer_objects()
    told[f"{metric}_expected"] = _expected(told, metric)
    told = told.sort_values(f"{metric}_mean", ascending=not up, kind="stable")
    told = told.sort_values("lost", kind="stable")
    first = results[results["status"] == "ok"].sort_values(metric, ascending=not up, kind="stable")
    first.index = pd.Index(points_of(first, manifest.space).tolist())
    first = first[~first.index.duplicated()].reindex(told.index)
    ranked: pd.DataFrame = pd.concat([first, told.drop(columns="lost")], axis=1)
    return ranked.reset_index(drop=True)


def _told(own: pd.DataFrame, view: RunView) -> dict[str, Any]:
    """What the trainings of a finalist came to."""
    metric, *tests = view.score_names
    ended = own[np.isfinite(own[metric].to_numpy(float))]
    told: dict[str, Any] = {
        FINALIST: own["strategy"].iloc[0],
        "lost": len(own) > len(ended),
        f"{metric}_count": len(ended),
        f"{metric}_std": ended[metric].std(),
    }
    for name in (metric, *tests):
        told |= {f"{name}_mean": ended[name].mean(), f"{name}_sem": ended[name].sem()}
    return told


def _expected(told: pd.DataFrame, metric: str) -> np.ndarray:
    """The means, each moved towards the mean of all as far as seeds alone explain the distance.

    As the variance of so few seeds is not well known, that of a finalist is taken to be halfway
    between its own and the median of all.
    """
    means, counts = told[f"{metric}_mean"].to_numpy(float), told[f"{metric}_count"].to_numpy(float)
    variances = told[f"{metric}_std"].to_numpy(float) ** 2
    if np.isfinite(variances).sum() < 2:
        return means
    middle = np.nanmedian(variances)
    own = np.where(np.isfinite(variances), variances, middle)
    errors = (own + middle) / 2 / np.maximum(counts, 1)  # variances of the means
    known = np.isfinite(means)
    if not errors[known].all():
        return means
    weights = known / errors
    far = weights * (np.where(known, means, 0) - _weighted(means, weights)) ** 2
    spread = weights.sum() - (weights**2).sum() / weights.sum()
    between = max(0.0, float((far.sum() - known.sum() + 1) / spread))
    centre = _weighted(means, known / (between + errors))
    return np.asarray(centre + between / (between + errors) * (means - centre))


def _weighted(values: np.ndarray, weights: np.ndarray) -> float:
    """The weighted mean, without those that are NaN."""
    return float(np.nansum(values * weights) / weights.sum())
