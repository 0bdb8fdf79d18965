"""The scores of a search in scikit-learn's terms: from Keras' logs where these are the same.

Workers report what Keras logs. A mean over rows, such as the accuracy, is the same number there and
in scikit-learn, so that models are given that metric and train in packs by folds. Whatever else
scikit-learn can score is computed from a trained model's predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer

from tuning.api.scikit.building import ADDED
from tuning.compatibility.keras import add_metric, better, build_with_loss
from tuning.errors import TuningError, quoted

if TYPE_CHECKING:
    import keras

    from tuning.api.scikit.models import Known
    from tuning.problem.problem import Mode

ONE = "score"  # the name of a single score, in the columns of `cv_results_`
SAME = {  # scorers of scikit-learn that follow from a mean over the rows
    "accuracy": ("accuracy", "max"),
    "neg_mean_absolute_error": ("mean_absolute_error", "min"),
    "neg_mean_squared_error": ("mean_squared_error", "min"),
    "neg_root_mean_squared_error": ("mean_squared_error", "min"),
    "r2": ("mean_squared_error", "min"),
}


@dataclass(frozen=True)
class Score:
    """One score of a search.

    Attributes
    ----------
    name : str
        Of the scorer or Keras' log.
    log : str
        The metric in Keras' logs that it follows from, with ``val_``; empty if it is computed from
        predictions.
    mode : {"max", "min"}
        Whether more or less of that is better.
    scorer : callable
        Takes a fitted estimator, X and y, and returns the score, of which more is better.
    """

    name: str
    log: str
    mode: Mode
    scorer: Callable[..., Any]

    def of_log(self, value: float, y: np.ndarray) -> float:
        """The score that a value in Keras' logs comes to.

        Parameters
        ----------
        value : float
        y : array, shape (n,)
            The target of the rows that validated.
        """
        if self.name == "r2":
            spread = float(np.var(y))
            return 1 - value / spread if spread else float(value == 0)
        if self.name == "neg_root_mean_squared_error":
            return -float(np.sqrt(value))
        return value if self.mode == "max" else -value

    def in_log(self, score: float) -> float:
        """The value in Keras' logs that has this score.

        Raises
        ------
        TuningError
            If that depends on the rows.
        """
        if not self.log or self.name == "r2":
            raise TuningError(f"target takes a score of one of Keras' metrics, and not {self.name}")
        if self.name == "neg_root_mean_squared_error":
            return score * score
        return score if self.mode == "max" else -score


@dataclass(frozen=True)
class KerasScorer:
    """Scores an estimator by a metric of its compiled Keras model.

    Attributes
    ----------
    name : str
        As Keras' logs have it, without ``val_``.
    mode : {"max", "min"}
        Whether more or less of it is better; what is less is negated.
    """

    name: str
    mode: Mode

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """The score of some rows."""
        value = estimator.evaluated(X, y)[self.name]
        return float(value if self.mode == "max" else -value)


def scores_of(scoring: Any, known: Known) -> tuple[dict[str, Score], bool]:
    """The scores that are asked for by their names in `cv_results_`, and whether it was by names.

    Parameters
    ----------
    scoring : None, str, callable, list, tuple, set or dict
    known : Known
        With a first model, which is used up.

    Raises
    ------
    TuningError
        If there is no such score.
    """
    several = _by_name(scoring)
    asked = several if several is not None else {ONE: scoring}
    if not asked:
        raise TuningError("scoring names no score: leave it out for accuracy or R²")
    found = {name: _of_keras(each, known) or each for name, each in asked.items()}
    made = {
        name: each if isinstance(each, Score) else _of_scikit(each, known)
        for name, each in found.items()
    }
    return made, several is not None


def _by_name(scoring: Any) -> dict[str, Any] | None:
    """Several scores by their names; None for a single one."""
    if isinstance(scoring, Mapping):
        return dict(scoring)
    if isinstance(scoring, Iterable) and not isinstance(scoring, str):
        return {str(each): each for each in scoring}
    return None


def _of_keras(what: Any, known: Known) -> Score | None:
    """A score that is a metric of the model's own, as Keras' logs name it."""
    if not isinstance(what, str) or not what.startswith("val_"):
        return None
    name = what.removeprefix("val_")
    model = known.first
    build_with_loss(model, tuple(part[: known.rows] for part in known.parts))
    there = list(model.get_metrics_result())
    if name not in there:
        raise TuningError(
            f"scoring {what!r} is not among what the models report: "
            + ", ".join(f"val_{each}" for each in there)
        )
    mode: Any = better(model, name)[0]
    if not mode:
        raise TuningError(
            f"Keras does not know whether more or less of {name} is better: take a scorer of "
            "scikit-learn for scoring"
        )
    return Score(what, what, mode, KerasScorer(name, mode))


def _of_scikit(what: Any, known: Known) -> Score:
    """A scorer of scikit-learn's, from Keras' logs where they have the same number."""
    outputs = known.outputs
    if what is None:
        what = "accuracy" if outputs.task == "classification" else "r2"
    if not isinstance(what, str):
        if not callable(what):
            raise TuningError(f"scoring takes a name, a function or several, not {quoted(what)}")
        return Score(getattr(what, "__name__", "scoring"), "", "min", what)
    scorer = _scorer(what)
    metric, mode = SAME.get(what, ("", "min"))
    if not metric or outputs.metric(metric) is None or not _takes_metrics(known.first):
        return Score(what, "", "min", scorer)
    if what in ("r2", "neg_root_mean_squared_error") and known.y.ndim > 1:
        return Score(what, "", "min", scorer)  # means over columns
    return Score(what, f"val_{ADDED}{metric}", mode, scorer)  # type: ignore[arg-type]


def _scorer(name: str) -> Callable[..., Any]:
    try:
        scorer: Callable[..., Any] = get_scorer(name)
    except (ValueError, KeyError):
        raise TuningError(
            f"scoring takes None, a scorer of scikit-learn or a metric of the model such as "
            f"'val_loss', not {name!r}"
        ) from None
    return scorer


def _takes_metrics(model: keras.Model) -> bool:
    """Whether metrics can be added to a model."""
    import keras

    return add_metric(model, keras.metrics.Mean(ADDED))


def metrics_of(scores: Mapping[str, Score], known: Known) -> dict[str, Any]:
    """What models have to report besides their own metrics: see `Builder`."""
    prefix = f"val_{ADDED}"
    names = {each.log.removeprefix(prefix) for each in scores.values() if prefix in each.log}
    return {name: known.outputs.metric(name) for name in sorted(names)}


def scored(scores: Mapping[str, Score], estimator: Any, x: Any, y: Any) -> dict[str, float]:
    """The scores of a fitted estimator by their names; a function may return several.

    Parameters
    ----------
    scores : mapping of str to Score
    estimator : KerasModel
    x, y : array
        The rows that validate.
    """
    scorers = {name: each.scorer for name, each in scores.items()}
    if list(scorers) == [ONE]:
        found = scorers[ONE](estimator, x, y)
        if isinstance(found, Mapping):
            return {name: float(value) for name, value in found.items()}
        return {ONE: float(found)}
    several = check_scoring(estimator, scoring=scorers)  # which predicts once for all
    return {name: float(value) for name, value in several(estimator, x, y).items()}
