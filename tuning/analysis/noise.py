"""The noise between seeds: how far two configurations can be told apart at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tuning.analysis.landscape import Landscape
from tuning.errors import TuningError
from tuning.manifest import differences

TOP = 0.1
CONFIDENT = 1.96  # standard deviations: 95 % of a normal distribution


@dataclass(frozen=True)
class Noise:
    """Variance between seeds beside variance between configurations.

    Attributes
    ----------
    seeds : list of int
    trials : int
        Configurations with a result for every seed.
    between, within : float
        Variance of the metric between configurations, and between seeds of one configuration.
    top_trials : int
        How many the figures of the top are of: the best tenth by the first seed.
    top_deviation : float
        Standard deviation between seeds there; of the other seeds where there are at least two of
        them, as the first has chosen.
    correlation : float
        Mean of Spearman's rank correlations between two seeds.
    top_correlation : float
        The same of the top, between the other seeds; NaN with less than two of them.
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
        """The least difference of two good configurations, trained once each, beyond noise (95 %).

        1.96 √2 standard deviations: of two normal results with this noise, and no true difference,
        5 % differ by more.
        """
        return CONFIDENT * math.sqrt(2) * self.top_deviation

    @property
    def share(self) -> float:
        """The share of the variance of one training that is the configuration's."""
        total = self.between + self.within
        return self.between / total if total else math.nan


def seed_noise(lands: Sequence[Landscape]) -> Noise:
    r"""The components of variance of trials that were trained with several seeds.

    One-way random effects: with s seeds, mean square within
    :math:`MS_w = \operatorname{mean}_i \operatorname{var}_j x_{ij}` estimates the variance between
    seeds, and :math:`(MS_b - MS_w) / s`, with
    :math:`MS_b = s \operatorname{var}_i \bar x_i`, that between configurations.

    Source: Searle, Casella & McCulloch, "Variance Components", Wiley 1992, section 3.6.

    Parameters
    ----------
    lands : sequence of Landscape
        One a seed, of the same problem.

    Raises
    ------
    TuningError
        If two are of one seed or of different problems, or fewer than two configurations have a
        result for every seed.
    """
    first = lands[0]
    for other in lands[1:]:
        found = differences({**first.manifest, "seed": 0}, {**other.manifest, "seed": 0})
        if found:
            raise TuningError(f"the runs are not of one problem: in the second {'; '.join(found)}")
    seeds = [int(land.manifest["seed"]) for land in lands]
    if len(set(seeds)) < len(seeds):
        raise TuningError(f"seed {max(seeds, key=seeds.count)} is given twice")
    columns = [pd.Series(land.values, land.trials.index) for land in lands]
    scores = pd.concat(columns, axis=1).dropna().to_numpy()
    if len(scores) < 2:
        raise TuningError("fewer than two configurations have a result for every seed")
    within = float(scores.var(axis=1, ddof=1).mean())
    between = float(scores.mean(axis=1).var(ddof=1)) - within / len(seeds)
    signed = scores[:, 0] if first.mode == "max" else -scores[:, 0]
    top = scores[np.argsort(-signed, kind="stable")[: max(2, round(TOP * len(scores)))]]
    others = top[:, 1:] if len(seeds) > 2 else top
    best = scores[signed == signed.max()]
    return Noise(
        seeds=seeds,
        trials=len(scores),
        between=max(0.0, between),
        within=within,
        top_trials=len(top),
        top_deviation=math.sqrt(float(others.var(axis=1, ddof=1).mean())),
        correlation=_mean_correlation(scores),
        top_correlation=_mean_correlation(top[:, 1:]),
        chosen=float(best[0, 0]),
        chosen_again=float(best[:, 1:].mean()),
    )


def _mean_correlation(scores: np.ndarray) -> float:
    """The mean of the rank correlations of all pairs of columns; NaN with one column."""
    matrix = pd.DataFrame(scores).rank().corr().to_numpy()
    pairs = matrix[np.triu_indices(len(matrix), 1)]
    return float(pairs.mean()) if len(pairs) else math.nan
