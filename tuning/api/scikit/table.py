"""The trials of a search as scikit-learn's `cv_results_`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import FitFailedWarning

from tuning.errors import TuningError, quoted


@dataclass
class Candidate:
    """One configuration, and what each fold came to.

    Attributes
    ----------
    params : dict
    scores : list of dict of str to float
        Of each fold by their names; empty of one that failed.
    fit_seconds, score_seconds : list of float
    errors : list of str
    """

    params: dict[str, Any]
    scores: list[dict[str, float]] = field(default_factory=list)
    fit_seconds: list[float] = field(default_factory=list)
    score_seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, row: Any, scores: dict[str, float], score_seconds: float = 0.0) -> None:
        """Add what came of a fold.

        Parameters
        ----------
        row : Series
            Of a table of trials or parts.
        scores : dict of str to float
            Empty if there are none.
        score_seconds : float
        """
        self.scores.append(scores)
        self.fit_seconds.append(float(row["train_seconds"]))
        self.score_seconds.append(score_seconds)
        if not scores:
            error = row["error"]
            told = isinstance(error, str) and error
            self.errors.append(error if told else "it has no finite loss")


def ended_well(row: Any) -> bool:
    """Whether a row of a table of trials or parts has scores."""
    return row["status"] in ("ok", "stopped")


def cv_results(candidates: Sequence[Candidate], error_score: Any) -> dict[str, Any]:
    """The columns of `cv_results_`, by scikit-learn's names.

    Parameters
    ----------
    candidates : sequence of Candidate
        Each with the same number of folds.
    error_score : float or "raise"
        In place of the scores of a training that failed.

    Raises
    ------
    TuningError
        If all trainings failed, or one did and ``error_score="raise"``.
    """
    _refuse_failures(candidates, error_score)
    _warn_of_failures(candidates, error_score)
    columns: dict[str, Any] = {}
    for name in ("fit", "score"):
        seconds = np.array([getattr(each, f"{name}_seconds") for each in candidates])
        columns[f"mean_{name}_time"] = seconds.mean(axis=1)
        columns[f"std_{name}_time"] = seconds.std(axis=1)
    for name in dict.fromkeys(name for each in candidates for name in each.params):
        columns[f"param_{name}"] = _masked([each.params for each in candidates], name)
    columns["params"] = [each.params for each in candidates]
    names = dict.fromkeys(name for each in candidates for own in each.scores for name in own)
    for name in names:
        scores = np.array(
            [[own.get(name, error_score) for own in each.scores] for each in candidates], float
        )
        for i, column in enumerate(scores.T):
            columns[f"split{i}_test_{name}"] = column
        columns[f"mean_test_{name}"] = scores.mean(axis=1)
        columns[f"std_test_{name}"] = scores.std(axis=1)
        columns[f"rank_test_{name}"] = _ranks(scores.mean(axis=1))
    return columns


def _refuse_failures(candidates: Sequence[Candidate], error_score: Any) -> None:
    """Raise if trainings failed, and are not to be counted."""
    if error_score != "raise" and not isinstance(error_score, int | float):
        raise TuningError(f"error_score takes a number or 'raise', not {quoted(error_score)}")
    errors = [error for each in candidates for error in each.errors]
    n = sum(len(each.scores) for each in candidates)
    if errors and (error_score == "raise" or len(errors) == n):
        raise TuningError(f"{len(errors)} of {n} trainings failed: {errors[0]}")


def _warn_of_failures(candidates: Sequence[Candidate], error_score: Any) -> None:
    errors = [error for each in candidates for error in each.errors]
    n = sum(len(each.scores) for each in candidates)
    if errors:
        warnings.warn(
            f"{len(errors)} of {n} trainings failed, and have the score {error_score}: {errors[0]}",
            FitFailedWarning,
            stacklevel=4,
        )


def _masked(params: Sequence[dict[str, Any]], name: str) -> np.ma.MaskedArray[Any, Any]:
    """A hyperparameter's values, masked where a configuration does not have it."""
    there = [own[name] for own in params if name in own]
    kinds = {type(value) for value in there}
    plain = kinds <= {int, float} or kinds in ({bool}, {str})
    dtype = np.array(there).dtype if plain else np.dtype(object)
    values = np.zeros(len(params), dtype)
    for i, own in enumerate(params):
        if name in own:
            values[i] = own[name]
    return np.ma.MaskedArray(values, mask=[name not in own for own in params])


def _ranks(means: np.ndarray) -> np.ndarray:
    """The places of means, the greatest first; NaN is the last."""
    if np.isnan(means).all():
        return np.ones(len(means), np.int32)
    lowest = np.nan_to_num(means, nan=np.nanmin(means) - 1)
    ranks: np.ndarray = rankdata(-lowest, method="min").astype(np.int32)
    return ranks
