"""What shorter trainings tell of the longest: how they rank the same configurations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuning.analysis.landscape import Landscape

TOP = 0.01


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
        ``top_share`` (of the best hundredth
        after the most epochs, how many are of the best hundredth after fewer; equals count),
        ``regret`` (of the metric, at least 0). Empty where the grid has no axis ``epochs`` or no
        trajectory has more than one.
    """
    columns = ["epochs", "trajectories", "correlation", "top_share", "regret"]
    axes = list(land.grid.axes)
    if "epochs" not in axes:
        return pd.DataFrame(columns=columns)
    others = [axis for axis in axes if axis != "epochs"]
    frame = land.trials[axes].assign(value=land.values)
    frame["trajectory"] = frame.groupby(others, dropna=False).ngroup() if others else 0
    wide = frame.pivot(index="trajectory", columns="epochs", values="value")
    rows = []
    longest = wide.columns.max()
    for epochs in sorted(set(wide.columns) - {longest}):
        both = wide[[epochs, longest]].dropna()
        if len(both) < 2:
            continue
        short, full = (both[name].to_numpy() for name in (epochs, longest))
        if land.mode == "min":
            short, full = -short, -full
        ranks = both.rank()
        best = max(1, round(TOP * len(both)))
        top_short, top_full = (scores >= np.sort(scores)[-best] for scores in (short, full))
        chosen = full[short == short.max()].mean()  # of equals, each as likely
        rows.append(
            (
                int(epochs),
                len(both),
                ranks[epochs].corr(ranks[longest]),
                np.mean(top_short[top_full]),
                full.max() - chosen,
            )
        )
    return pd.DataFrame(rows, columns=columns)
