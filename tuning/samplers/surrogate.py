"""A model that predicts scores from configurations: a Bayesian linear one on axes and their pairs.

Source: Bayesian linear regression as in Bishop, "Pattern Recognition and Machine Learning" (2006),
section 3.3.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tuning.space.parameters import Fixed, Parameter
from tuning.space.space import Space

KNOTS = 5  # of the piecewise linear functions along a range
ONE_HOT = 8  # values of a list up to which each has a column of its own
COLUMNS = 1_000  # at most, pairs of columns included
WORST, BEST = -2.0, 7.0  # of a score's logit
MARGIN = 0.002  # keeps the logit of 0 and 1 finite


class Encoding:
    """Configurations of a space as rows of numbers.

    A list of values has a column for each. A range, or a long list of numbers, has `KNOTS`
    piecewise linear functions of the position on its scale, which add up to 1. A hyperparameter
    that does not exist beside the others has zeros, and ``epochs`` has no columns.

    Parameters
    ----------
    space : Space

    Attributes
    ----------
    owners : list of str
        The hyperparameter of each column.
    pairs : array of int, shape (2, pairs)
        The columns whose products are features, too: all of two different hyperparameters, those
        with the fewest columns first, up to `COLUMNS` in all.
    """

    def __init__(self, space: Space) -> None:
        self._axes: list[tuple[str, Callable[[Any], np.ndarray], int]] = []
        self.owners: list[str] = []
        for name, parameter in space.parameters.items():
            if name == "epochs" or isinstance(parameter, Fixed):
                continue
            row, width = _encoder(parameter)
            self._axes.append((name, row, width))
            self.owners += [name] * width
        self.pairs = self._pairs()

    def __len__(self) -> int:
        """The number of columns, without pairs."""
        return len(self.owners)

    def rows(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """The columns of configurations, without pairs: shape (configurations, columns)."""
        found = np.zeros((len(configurations), len(self)))
        start = 0
        for name, row, width in self._axes:
            for i, configuration in enumerate(configurations):
                if name in configuration:
                    found[i, start : start + width] = row(configuration[name])
            start += width
        return found

    def features(self, rows: np.ndarray) -> np.ndarray:
        """A constant, the columns and the products of pairs: shape (rows, 1 + columns + pairs)."""
        one, other = self.pairs
        return np.concatenate(
            [np.ones((len(rows), 1)), rows, rows[:, one] * rows[:, other]], axis=1
        )

    def _pairs(self) -> np.ndarray:
        widths = {name: width for name, _, width in self._axes}
        names = sorted(widths, key=lambda name: widths[name])
        of = {name: [i for i, each in enumerate(self.owners) if each == name] for name in names}
        found: list[tuple[int, int]] = []
        for one, other in itertools.combinations(names, 2):
            new = list(itertools.product(of[one], of[other]))
            if 1 + 2 * len(self) + len(found) + len(new) <= COLUMNS:
                found += new
        return np.array(found, dtype=int).reshape(-1, 2).T


@dataclass(frozen=True)
class Prior:
    """What is thought of the model's weights before any score is seen: standard deviations.

    Attributes
    ----------
    constant, main, pair : float
        Of the constant, of each value of a hyperparameter, and of each pair of values.
    fade : float
        Of an effect of a value that is there after the first epoch and gone after the longest.
    noise : float
        Of a score around what the model says, as two seeds differ.
    mean : float
        Of the constant.
    """

    constant: float = 3.0
    main: float = 1.0
    pair: float = 0.35
    fade: float = 0.5
    noise: float = 0.2
    mean: float = 3.5


PRIOR = Prior()


class LinearModel(ABC):
    """Scores that a model has learnt which is linear in features of configurations and epochs.

    Parameters
    ----------
    longest : int
        The epochs that predictions are for, unless told otherwise.
    mode : {"max", "min"}
        Whether more or less of the score is better.
    weights : int
        Features of a configuration.
    """

    def __init__(self, longest: int, mode: Literal["max", "min"], weights: int) -> None:
        self.longest = longest
        self._mode = mode
        self._features = np.zeros((0, weights))
        self._normal = np.zeros((weights, weights))  # the features' products, summed over scores
        self._scores = np.zeros(0)
        self._solved: tuple[np.ndarray, np.ndarray] | None = None

    @abstractmethod
    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Configurations as rows, for predictions."""

    @abstractmethod
    def _at(self, rows: np.ndarray, epochs: Sequence[int] | None) -> np.ndarray:
        """The features of rows after epochs: shape (n, weights)."""

    def add(
        self,
        configurations: Sequence[Mapping[str, Any]],
        epochs: Sequence[int],
        scores: Sequence[float],
    ) -> None:
        """Learn scores; it may be called again and again.

        Parameters
        ----------
        configurations : sequence of dict
        epochs : sequence of int
            After which each had its score.
        scores : sequence of float
            As the metric gives them; what is not finite counts as the worst.
        """
        new = self._at(self.encode(configurations), epochs)
        self._normal += new.T @ new
        self._features = np.concatenate([self._features, new])
        self._scores = np.concatenate([self._scores, np.asarray(scores, dtype=float)])
        self._solved = None

    @property
    def scale(self) -> Scale:
        """The scale of what was learnt."""
        return Scale.of(self._scores, self._mode)

    def _fade(self, epochs: Sequence[int]) -> np.ndarray:
        """1 after the first epoch, 0 after the longest."""
        if self.longest == 1:
            return np.zeros(len(epochs))
        fade: np.ndarray = 1 - np.log(np.asarray(epochs, dtype=float)) / math.log(self.longest)
        return fade


class Surrogate(LinearModel):
    """Predicts the score of a configuration after so many epochs, and how sure that is.

    It works on a scale on which more is better and effects add up: see `Scale`.

    Parameters
    ----------
    space : Space
    longest : int
        The epochs that predictions are for, unless told otherwise.
    mode : {"max", "min"}
        Whether more or less of the score is better.
    prior : Prior

    Examples
    --------
    >>> model = Surrogate(Space({"rate": [0.1, 0.2]}), longest=3, mode="max")
    >>> model.add([{"rate": 0.1}, {"rate": 0.2}], [3, 3], [0.8, 0.9])
    >>> mean, sd = model.predict(model.encode([{"rate": 0.1}, {"rate": 0.2}]))
    >>> bool(mean[0] < mean[1])
    True
    """

    def __init__(
        self, space: Space, longest: int, mode: Literal["max", "min"], prior: Prior = PRIOR
    ) -> None:
        self.encoding = Encoding(space)
        self.prior = prior
        n, pairs = len(self.encoding), self.encoding.pairs.shape[1]
        self._sd = np.r_[
            prior.constant, np.full(n, prior.main), np.full(pairs, prior.pair), [prior.fade] * n
        ]
        super().__init__(longest, mode, len(self._sd))

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Configurations as rows, for `predict`: shape (n, columns)."""
        return self.encoding.rows(configurations)

    def predict(
        self, rows: np.ndarray, epochs: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The expected value of each row, and its standard deviation without noise, on `scale`.

        Parameters
        ----------
        rows : array, shape (n, columns)
            Of `encode`.
        epochs : sequence of int, shape (n,), optional
            The longest unless told.

        Returns
        -------
        array, shape (n,)
        array, shape (n,)
        """
        features = self._at(rows, epochs)
        mean, root = self._solve()
        spread = solve_down(root, features.T)
        return features @ mean, np.sqrt((spread**2).sum(axis=0))

    def mean(self, rows: np.ndarray, epochs: Sequence[int] | None = None) -> np.ndarray:
        """The expected value of each row alone, as in `predict`, shape (n,)."""
        return self._values(self._solve()[0], rows, epochs)

    def _values(
        self, weights: np.ndarray, rows: np.ndarray, epochs: Sequence[int] | None
    ) -> np.ndarray:
        """The products of features and weights, without making the features of all pairs."""
        n = len(self.encoding)
        one, other = self.encoding.pairs
        products = np.zeros((n, n))
        products[one, other] = weights[1 + n : len(weights) - n]
        values: np.ndarray = weights[0] + ((rows @ products + weights[1 : 1 + n]) * rows).sum(1)
        if epochs is not None:
            values = values + (rows @ weights[len(weights) - n :]) * self._fade(epochs)
        return values

    def _at(self, rows: np.ndarray, epochs: Sequence[int] | None) -> np.ndarray:
        """The features of rows after epochs: shape (n, weights)."""
        features = self.encoding.features(rows)
        fade = np.zeros(len(rows)) if epochs is None else self._fade(epochs)
        return np.concatenate([features, rows * fade[:, None]], axis=1)

    def _solve(self) -> tuple[np.ndarray, np.ndarray]:
        """The posterior's mean, and the lower triangular root of its precision."""
        if self._solved is None:
            precision = self._normal / self.prior.noise**2 + np.diag(self._sd**-2.0)
            values = self.scale.forward(self._scores) - self.prior.mean
            root = np.linalg.cholesky(precision)
            right = self._features.T @ values / self.prior.noise**2
            mean = solve_up(root, solve_down(root, right))
            mean[0] += self.prior.mean
            self._solved = mean, root
        return self._solved


@dataclass(frozen=True)
class Scale:
    """A scale of scores on which more is better and effects add up.

    Scores from 0 to 1 of which more is better have their logit; scores above 0 of which less is
    better the logarithm of how many times as good as the median they are; others are standardised
    by median and interquartile range.

    Attributes
    ----------
    kind : {"logit", "log", "standard"}
    sign : {1, -1}
    middle, spread : float
        Of the standardised; the middle also of the logarithm.
    """

    kind: Literal["logit", "log", "standard"]
    sign: int = 1
    middle: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, scores: np.ndarray, mode: Literal["max", "min"]) -> Scale:
        """The scale for scores such as these, whose not finite ones do not count."""
        finite = scores[np.isfinite(scores)]
        if mode == "max" and ((finite >= 0) & (finite <= 1)).all():
            return cls("logit")
        if mode == "min" and (finite > 0).all():
            return cls("log", -1, float(np.log(np.median(finite))) if len(finite) else 0.0)
        low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75])
        return cls("standard", 1 if mode == "max" else -1, middle, max(high - low, 1e-12))

    def forward(self, scores: np.ndarray) -> np.ndarray:
        """Scores on the scale, held to what its worst and best may be."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.kind == "logit":
                values = np.log((scores + MARGIN) / (1 + MARGIN - scores))
            elif self.kind == "log":
                values = self.middle - np.log(scores) + PRIOR.mean
            else:
                values = self.sign * (scores - self.middle) / self.spread + PRIOR.mean
        values = np.where(np.isfinite(scores), values, WORST)
        return np.clip(values, WORST, BEST if self.kind == "logit" else 2 * BEST)

    def back(self, values: np.ndarray) -> np.ndarray:
        """Values of the scale as scores."""
        found: np.ndarray
        if self.kind == "logit":
            found = (1 + 2 * MARGIN) / (1 + np.exp(-values)) - MARGIN
        elif self.kind == "log":
            found = np.exp(self.middle - values + PRIOR.mean)
        else:
            found = self.sign * (values - PRIOR.mean) * self.spread + self.middle
        return found


def solve_down(root: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solve with a lower triangular root."""
    from scipy.linalg import solve_triangular

    found: np.ndarray = solve_triangular(root, values, lower=True, check_finite=False)
    return found


def solve_up(root: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solve with the transpose of a lower triangular root."""
    from scipy.linalg import solve_triangular

    found: np.ndarray = solve_triangular(root, values, lower=True, trans=1, check_finite=False)
    return found


def _encoder(parameter: Parameter) -> tuple[Callable[[Any], np.ndarray], int]:
    """Maps a value to its columns, of which there are so many."""
    values = parameter.values
    if values is not None and (len(values) <= ONE_HOT or not _are_numbers(values)):
        places = [(value, row) for value, row in zip(values, np.eye(len(values)), strict=True)]
        return _lookup(places), len(values)
    last = 1.0 if not hasattr(parameter, "options") else len(parameter.options) - 1.0

    def hats(value: Any) -> np.ndarray:
        place = parameter.position(value) / last * (KNOTS - 1)
        found: np.ndarray = np.maximum(0.0, 1 - np.abs(place - np.arange(KNOTS)))
        return found

    return hats, KNOTS


def _lookup(places: list[tuple[Any, np.ndarray]]) -> Callable[[Any], np.ndarray]:
    """Finds the row of a value, which may be anything."""
    try:
        rows = dict(places)
    except TypeError:  # a value such as a dict has no hash

        def found(value: Any) -> np.ndarray:
            return next(row for each, row in places if each == value)

        return found
    return rows.__getitem__


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
