"""The share of a whole grid's variance that each axis, and each pair of axes, accounts for."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

REST = "three axes and more"


def functional_anova(values: np.ndarray, names: list[str]) -> pd.DataFrame:
    r"""Decompose the variance of a complete factorial table: main effects and interactions of two.

    With :math:`f_\emptyset` the mean of the table, the component of a set U of axes is

    .. math:: f_U(x_U) = \operatorname{mean}_{x_{-U}} f(x) - \sum_{W \subset U} f_W(x_W),

    and its share :math:`\operatorname{var}(f_U) / \operatorname{var}(f)`; the shares of all sets
    sum to 1.

    Source: Hoeffding, Ann. Math. Stat. 19 (1948); for hyperparameters Hutter, Hoos &
    Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014, there
    of a model of the table, here of the table itself.

    Parameters
    ----------
    values : array of float
        One dimension an axis; none of them NaN.
    names : list of str
        Of the axes.

    Returns
    -------
    DataFrame
        Columns ``axes`` (a name, or two with × between), ``share``: the largest first, and last
        what is left for sets of three axes and more. Shares are NaN where nothing varies.
    """
    every = range(values.ndim)
    total = values.var()
    centred = values - values.mean()
    main = {i: centred.mean(axis=tuple(j for j in every if j != i)) for i in every}
    variances = {names[i]: effect.var() for i, effect in main.items()}
    for i, j in itertools.combinations(every, 2):
        both = centred.mean(axis=tuple(k for k in every if k not in (i, j)))
        pair = both - main[i][:, None] - main[j][None, :]
        variances[f"{names[i]} × {names[j]}"] = pair.var()
    with np.errstate(invalid="ignore"):
        shares = np.array(list(variances.values())) / total
    table = pd.DataFrame({"axes": list(variances), "share": shares})
    table = table.sort_values("share", ascending=False, kind="stable", ignore_index=True)
    rest = pd.DataFrame({"axes": [REST], "share": [1.0 - table["share"].sum(skipna=False)]})
    return pd.concat([table, rest], ignore_index=True)
