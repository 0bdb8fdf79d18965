"""What shorter trainings tell of the longest: how they rank the same configurations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuning.analysis.grid_scores import Landscape

HUNDREDTH = 0.01


def fidelities(land: Landscape) -> pd.DataFrame:
    """How well a training of fewer epochs stands in for the longest.

    Over the trajectories (configurations that differ in nothing but ``epochs``) trained for both,
    with results: Spearman's rank correlation of the metric, how many of the best hundredth are so
    after both, and what is lost by choosing after fewer epochs and training only the chosen one to
    the end.

    Source: Spearman, Am. J. Psychol. 15 (1904), ties with their mean rank; the choice after fewer
    epochs is one step of successive halving: Jamieson & Talwalkar, AISTATS 2016.

    Parameters
    ----------
    land : Landscape

    Returns
    -------
    DataFrame
        One row for each number of epochs: ``epochs``, ``trajectories``, ``correlation``,
        ``top_share`` (of the best hundredth after the most epochs, how many are of the best
        hundredth after fewer; equals are ordered at random), ``regret`` (of the metric, at least
        0). Empty where the grid has no axis ``epochs`` or no trajectory has more than one.
    """
    columns = ["epochs", "trajectories", "correlation", "top_share", "regret"]
    if "epochs" not in land.grid.axes:
        return pd.DataFrame(columns=columns)
    wide = by_epochs(land)
    rows = []
    longest = wide.columns.max()
    for epochs in sorted(set(wide.columns) - {longest}):
        both = wide[[epochs, longest]].dropna()
        if len(both) < 2:
            continue
        short, full = (both[name].to_numpy() for name in (epochs, longest))
        if land.mode == "min":
            short, full = -short, -full
        best = max(1, round(HUNDREDTH * len(both)))
        chances = chance_in_top(short, best) * chance_in_top(full, best)
        ranks = both.rank()
        rows.append(
            (
                int(epochs),
                len(both),
                ranks[epochs].corr(ranks[longest]),
                chances.sum() / best,
                full.max() - full[short == short.max()].mean(),  # of equals, each as likely
            )
        )
    return pd.DataFrame(rows, columns=columns)


def by_epochs(land: Landscape) -> pd.DataFrame:
    """The metric of each trajectory, a row, after each number of epochs, a column."""
    trials = land.trials.index.to_numpy()
    line = land.grid.line("epochs", trials)
    scores = pd.Series(land.values, index=[line, land.trials["epochs"]])
    return scores.unstack()


def chance_in_top(scores: np.ndarray, n: int) -> np.ndarray:
    """How likely each is among the n highest, where equals are ordered at random."""
    edge = np.sort(scores)[-n]
    above, equal = scores > edge, scores == edge
    return np.where(above, 1.0, np.where(equal, (n - above.sum()) / equal.sum(), 0.0))
