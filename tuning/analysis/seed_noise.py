"""The noise between seeds: how large a difference of two configurations has to be to count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tuning.analysis.grid_scores import GridScores
from tuning.errors import TuningError, listed
from tuning.runs.manifest import differences

TENTH = 0.1
ROUNDING = 1e-12  # of a difference of scores
DEVIATIONS = 1.96  # standard deviations on either side hold 95% of a normal distribution


@dataclass(frozen=True)
class Noise:
    """The variance between seeds beside the variance between configurations.

    Attributes
    ----------
    seeds : list of int
    trials : int
        Configurations with a result for every seed.
    between, within : float
        Variance of the metric between configurations, and between seeds of one configuration.
    top_trials : int
        The best tenth of them.
    top_deviation : float
        Standard deviation between seeds in the best tenth, which is taken by the mean over all
        seeds, as the mean is independent of how far a configuration's seeds are apart.
    correlation : float
        Mean of Spearman's rank correlations between two seeds; NaN where nothing varies.
    top_correlation : float
        The same in the best tenth by the first seed, between the others; NaN with less than three
        seeds.
    chosen : float
        The metric of the best by the first seed.
    chosen_again : float
        Its mean over the other seeds.
    """

    seeds: list[int]
    trials: int
    between: float
    within: float
    top_trials: int
    top_deviation: float
    correlation: float
    top_correlation: float
    chosen: float
    chosen_again: float

    @property
    def resolution(self) -> float:
        """The difference of two good configurations, trained once each, that noise rarely exceeds.

        1.96 √2 standard deviations: of two normal results with this noise, and no true difference,
        5 % differ by more.
        """
        return DEVIATIONS * math.sqrt(2) * self.top_deviation

    @property
    def share(self) -> float:
        """The share of the variance of one training that is the configuration's."""
        total = self.between + self.within
        return self.between / total if total else math.nan


def seed_noise(runs: Sequence[GridScores]) -> Noise:
    r"""Estimate the components of variance of trials that were trained with several seeds.

    One-way random effects: with s seeds, mean square within
    :math:`MS_w = \operatorname{mean}_i \operatorname{var}_j x_{ij}` estimates the variance between
    seeds, and :math:`(MS_b - MS_w) / s`, with
    :math:`MS_b = s \operatorname{var}_i \bar x_i`, that between configurations.

    Source: Searle, Casella & McCulloch, "Variance Components", Wiley 1992, section 3.6.

    Parameters
    ----------
    runs : sequence of GridScores
        One a seed, of the same problem.

    Raises
    ------
    TuningError
        If two are of one seed or of different problems, or fewer than two configurations have a
        result for every seed.
    """
    first = runs[0]
    for other in runs[1:]:
        if found := differences(replace(other.manifest, seed=0), replace(first.manifest, seed=0)):
            raise TuningError(
                f"run {_name(other)} cannot tell the noise of run {_name(first)}: {listed(found)}"
            )
    seeds = [run.manifest.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        twice = max(seeds, key=seeds.count)
        names = [_name(run) for run in runs if run.manifest.seed == twice]
        raise TuningError(
            f"runs {' and '.join(names[:2])} both have seed {twice}: each needs a seed of its own"
        )
    columns = [pd.Series(run.values, run.trials.index) for run in runs]
    scores = pd.concat(columns, axis=1).dropna().to_numpy()
    if len(scores) < 2:
        raise TuningError(
            f"fewer than two configurations have a result in each of the runs "
            f"{', '.join(map(_name, runs))}: train the same with other seeds"
        )
    within = float(scores.var(axis=1, ddof=1).mean())
    between = float(scores.mean(axis=1).var(ddof=1)) - within / len(seeds)
    sign = 1.0 if first.mode == "max" else -1.0
    n_top = max(2, round(TENTH * len(scores)))
    top = scores[np.argsort(-sign * scores.mean(axis=1), kind="stable")[:n_top]]
    top_by_first = scores[np.argsort(-sign * scores[:, 0], kind="stable")[:n_top]]
    signed = sign * scores[:, 0]
    best = scores[signed == signed.max()]
    return Noise(
        seeds=seeds,
        trials=len(scores),
        between=max(0.0, between),
        within=within,
        top_trials=n_top,
        top_deviation=math.sqrt(float(top.var(axis=1, ddof=1).mean())),
        correlation=_mean_correlation(scores),
        top_correlation=_mean_correlation(top_by_first[:, 1:]),
        chosen=float(best[0, 0]),
        chosen_again=float(best[:, 1:].mean()),
    )


def within_noise(scores: GridScores, noise: Noise) -> int:
    """How many configurations, the best included, are within seed-to-seed noise of the best."""
    return int((np.abs(scores.values - scores.best) <= noise.resolution + ROUNDING).sum())


def _name(run: GridScores) -> str:
    """The name of a run."""
    return str(run.trials["run"].iloc[0])


def _mean_correlation(scores: np.ndarray) -> float:
    """The mean of Spearman's correlations of all pairs of columns; NaN with one column."""
    matrix = pd.DataFrame(scores).corr("spearman").to_numpy()
    pairs = matrix[np.triu_indices(len(matrix), 1)]
    return float(pairs.mean()) if len(pairs) else math.nan
