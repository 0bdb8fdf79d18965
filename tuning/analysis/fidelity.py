"""The agreement of shorter trainings with the longest: how they rank the same configurations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuning.analysis.grid_scores import GridScores
from tuning.runs.table import lines_of

HUNDREDTH = 0.01


def fidelities(scores: GridScores) -> pd.DataFrame:
    """Measure how well a training of fewer epochs stands in for the longest.

    A trajectory is all configurations that differ in nothing but ``epochs``. Over those that have a
    result for both lengths: Spearman's rank correlation of the metric, the share of the best
    hundredth that both have in common, and the loss from choosing after fewer epochs and training
    only the chosen one to the end.

    Source: Spearman, Am. J. Psychol. 15 (1904), ties with their mean rank; the choice after fewer
    epochs is one step of successive halving: Jamieson & Talwalkar, AISTATS 2016.

    Parameters
    ----------
    scores : GridScores

    Returns
    -------
    DataFrame
        One row for each number of epochs: ``epochs``, ``trajectories``, ``correlation``,
        ``top_share`` (the share of the best hundredth after the most epochs that is in the best
        hundredth after fewer; equals are ordered at random), ``regret`` (of the metric, at least
        0). Empty where there is no hyperparameter ``epochs`` or no trajectory has more than one.
    """
    columns = ["epochs", "trajectories", "correlation", "top_share", "regret"]
    if "epochs" not in scores.space.parameters:
        return pd.DataFrame(columns=columns)
    wide = by_epochs(scores)
    rows = []
    longest = wide.columns.max()
    for epochs in sorted(set(wide.columns) - {longest}):
        both = wide[[epochs, longest]].dropna()
        if len(both) < 2:
            continue
        short, full = (both[name].to_numpy() for name in (epochs, longest))
        if scores.mode == "min":
            short, full = -short, -full
        best = max(1, round(HUNDREDTH * len(both)))
        chances = chance_in_top(short, best) * chance_in_top(full, best)
        rows.append(
            (
                int(epochs),
                len(both),
                both.corr("spearman").iloc[0, 1],
                chances.sum() / best,
                full.max() - full[short == short.max()].mean(),  # of equals, each as likely
            )
        )
    return pd.DataFrame(rows, columns=columns)


def by_epochs(scores: GridScores) -> pd.DataFrame:
    """The metric of each trajectory, a row, after each number of epochs, a column."""
    line = lines_of(scores.trials.reset_index(), scores.space).to_numpy()
    return pd.Series(scores.values, index=[line, scores.trials["epochs"]]).unstack()


def chance_in_top(scores: np.ndarray, n: int) -> np.ndarray:
    """The chance of each to be among the n highest, where equals are ordered at random."""
    edge = np.sort(scores)[-n]
    above, equal = scores > edge, scores == edge
    return np.where(above, 1.0, np.where(equal, (n - above.sum()) / equal.sum(), 0.0))
