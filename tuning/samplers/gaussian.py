"""A Gaussian process over configurations: what a score is expected to be, and how sure that is.

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), chapter 2; its
functions are held to what they are at some configurations of the space, as in section 8.3.1, so
that a decision takes as long after a thousand scores as after ten.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tuning.samplers.surrogate import Encoding, LinearModel, solve_down, solve_up
from tuning.space.space import Space

ANCHORS = 150  # configurations of the space
APART = 1.75  # minus the logarithm of how alike two configurations are that have no value in common
FADE = 0.6  # the standard deviation of what is there after the first epoch and gone at the end
NOISE = 0.6  # of a score: the standard deviation, where all scores have 1
FLOOR = 0.5  # the share of the scores that count as equally bad
JITTER = 1e-6


class GaussianProcess(LinearModel):
    """Predicts the score of a configuration after so many epochs, and how sure that is.

    Values are on the scale of `Scale`, on which more is better, standardised. The lower `FLOOR` of
    all scores count as equally bad: by how much is nothing to learn from about the good ones, and
    outweighs the differences between these.

    Two configurations are the more alike, the more values they have in common; positions on a range
    are also alike if they are near. What a training has after its first epoch differs by a function
    of its own from what it has at its end, which fades with the logarithm of the epochs.

    Parameters
    ----------
    space : Space
    longest : int
        The epochs that predictions are for, unless told otherwise.
    mode : {"max", "min"}
        Whether more or less of the score is better.

    Examples
    --------
    >>> model = GaussianProcess(Space({"rate": [0.1, 0.2]}), longest=3, mode="max")
    >>> model.add([{"rate": 0.1}, {"rate": 0.2}], [3, 3], [0.8, 0.9])
    >>> mean, sd = model.predict(model.encode([{"rate": 0.1}, {"rate": 0.2}]))
    >>> bool(mean[0] < mean[1])
    True
    """

    def __init__(self, space: Space, longest: int, mode: Literal["max", "min"]) -> None:
        self._encoding = Encoding(space)
        self._reach = math.sqrt(APART / max(1, len(set(self._encoding.owners))))
        draw = random.Random(0)
        drawn = self._encoding.rows([space.draw(draw) for _ in range(ANCHORS)])
        self._anchors = np.array(list({row.tobytes(): row for row in drawn}.values()))
        n = len(self._anchors)
        self._root = np.linalg.cholesky(self._alike(self._anchors) + JITTER * np.eye(n))
        super().__init__(longest, mode, 2 * n + 1)

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Configurations as rows, whose products are how alike they are: shape (n, anchors)."""
        rows = self._encoding.rows(configurations)
        return solve_down(self._root, self._alike(rows).T).T

    @property
    def best(self) -> float:
        """The best score so far, on the scale of predictions."""
        return float(self._values(self._scores).max())

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The expected value of each row, and its standard deviation without noise.

        Parameters
        ----------
        rows : array, shape (n, anchors)
            Of `encode`.

        Returns
        -------
        array, shape (n,)
        array, shape (n,)
        """
        _, covariance = self._solve()
        variance = ((rows @ covariance) * rows).sum(axis=1)
        return self.mean(rows), np.sqrt(np.maximum(variance, 0.0))

    def mean(self, rows: np.ndarray, epochs: Sequence[int] | None = None) -> np.ndarray:
        """The expected value of each row after so many epochs, shape (n,); the longest if none."""
        weights, _ = self._solve()
        if epochs is None:  # when what fades is gone
            weights = weights[: rows.shape[1]]
        else:
            rows = self._at(rows, epochs)
        found: np.ndarray = rows @ weights
        return found

    def residuals(
        self, rows: np.ndarray, epochs: Sequence[int], scores: Sequence[float]
    ) -> np.ndarray:
        """By how much scores are above what is expected of their rows: shape (n,)."""
        values = self._values(np.asarray(scores, dtype=float))
        above: np.ndarray = values - self.mean(rows, epochs)
        return above

    def _alike(self, rows: np.ndarray) -> np.ndarray:
        """How alike rows and the anchors are: shape (rows, anchors)."""
        one, other = rows * self._reach, self._anchors * self._reach
        squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
        alike: np.ndarray = np.exp(-0.5 * np.maximum(squares, 0.0))
        return alike

    def _at(self, rows: np.ndarray, epochs: Sequence[int] | None) -> np.ndarray:
        """The features of rows after epochs: shape (n, weights)."""
        fade = np.zeros(len(rows)) if epochs is None else self._fade(epochs)
        early = np.concatenate([np.ones((len(rows), 1)), rows], axis=1)
        return np.concatenate([rows, FADE * fade[:, None] * early], axis=1)

    def _values(self, scores: np.ndarray) -> np.ndarray:
        """Scores on the scale of predictions."""
        scale = self.scale
        known = scale.forward(self._scores)
        floor = np.quantile(known, FLOOR)
        if floor == known.max() > known.min():  # many have the best: they differ from all others
            floor = known[known < floor].max()
        held = np.maximum(known, floor)
        spread = float(held.std()) or 1.0
        values: np.ndarray = (np.maximum(scale.forward(scores), floor) - held.mean()) / spread
        return values

    def _solve(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean of the weights, and the covariance of those that count after all epochs."""
        if self._solved is None:
            n = len(self._anchors)
            root = np.linalg.cholesky(self._normal / NOISE**2 + np.eye(2 * n + 1))
            right = self._features.T @ self._values(self._scores) / NOISE**2
            late = solve_down(root, np.eye(2 * n + 1, n))
            self._solved = solve_up(root, solve_down(root, right)), late.T @ late
        return self._solved
