"""The best of n random trials of a finite table: exact, neither simulated nor approximated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tuning.problem.problem import Mode

BAND = (0.05, 0.95)
NEGLIGIBLE = 1e-18  # a share too small to change a sum of doubles


@dataclass(frozen=True)
class BestOf:
    """The best of n trials drawn without replacement, for n = 1, 2, ….

    Attributes
    ----------
    mean, low, high : array of float, shape (most,)
        Expectation, and the 5 % and 95 % quantiles (the 5 % one is the smaller number).
    chosen_mean, chosen_low, chosen_high : array of float, shape (most,)
        The same of the other value (the test score) of the trial that was the best.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chosen_mean: np.ndarray
    chosen_low: np.ndarray
    chosen_high: np.ndarray

    def optimism(self, mode: Mode) -> np.ndarray:
        """The mean advantage of the best over the other value of the same trial, for each n."""
        gap: np.ndarray = self.mean - self.chosen_mean
        return gap if mode == "max" else -gap


def best_of(
    values: np.ndarray, mode: Mode, chosen: np.ndarray | None = None, most: int | None = None
) -> BestOf:
    r"""Give the distribution of the best of n values drawn without replacement, for each n.

    With the N values sorted from worst to best, the best of n drawn is among the k worst with
    probability

    .. math:: G_n(k) = \binom{k}{n} \Big/ \binom{N}{n},
       \qquad G_1(k) = \frac{k}{N}, \quad G_{n+1}(k) = G_n(k)\,\frac{k-n}{N-n}

    and equal values share their part evenly: by symmetry each is as likely to have come first.

    Source: order statistics of a finite population: David & Nagaraja, "Order Statistics", 3rd ed.,
    Wiley 2003, section 2.4; for the budget of a random search Dodge et al., "Show Your Work",
    EMNLP 2019, there with replacement.

    Parameters
    ----------
    values : array of float, shape (N,)
        What chooses. NaN, a trial without a result, ranks below everything and counts as drawn.
    mode : {"max", "min"}
    chosen : array of float, shape (N,), optional
        The other value of each trial; `values` unless told.
    most : int, optional
        The largest n; N unless told.

    Returns
    -------
    BestOf
        Of the draws that hold a result; NaN where none can.
    """
    size = len(values)
    most = size if most is None else min(most, size)
    known = np.flatnonzero(~np.isnan(values))
    signed = values[known] if mode == "max" else -values[known]
    other = (values if chosen is None else chosen)[known]
    levels, level_of, sizes = np.unique(signed, return_inverse=True, return_counts=True)
    by_other = np.argsort(other, kind="stable")
    level_of, other = level_of[by_other], other[by_other]
    level_other = np.bincount(level_of, other) / sizes
    levels = levels if mode == "max" else -levels
    missing = size - len(known)
    ends = missing + np.cumsum(sizes)
    below, nothing = ends / max(size, 1), missing / max(size, 1)  # G_1
    found = np.full((6, most), np.nan)
    spread = np.ptp(levels) / max(abs(levels[-1]), 1e-300) if len(levels) else 0.0
    out_of_reach = NEGLIGIBLE / max(1.0, spread)
    for n in range(1, most + 1 if len(known) else 1):
        share = np.diff(below, prepend=nothing) / (1.0 - nothing)
        each = (share / sizes)[level_of]
        found[:, n - 1] = (
            share @ levels,
            *sorted(_quantiles(levels, share)),
            share @ level_other,
            *_quantiles(other, each),
        )
        if len(levels) == 1:
            found[:, n:] = found[:, n - 1 : n]
            break
        below = below * np.maximum(ends - n, 0) / max(size - n, 1)
        nothing *= max(missing - n, 0) / max(size - n, 1)
        gone = int(np.searchsorted(below[:-1], out_of_reach))
        if gone > len(below) // 16:
            ends, sizes, below = ends[gone:], sizes[gone:], below[gone:]
            levels, level_other, nothing = levels[gone:], level_other[gone:], 0.0
            near = level_of >= gone
            level_of, other = level_of[near] - gone, other[near]
    return BestOf(*found)


def _quantiles(values: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """The quantiles at `BAND` of sorted values with these probabilities."""
    places = np.searchsorted(np.cumsum(chances), BAND)
    return np.asarray(values[np.minimum(places, len(values) - 1)])


def chance_of_top(size: int, top: int, n: np.ndarray) -> np.ndarray:
    r"""The probability that n draws without replacement hold one of the best `top` of `size`.

    Hypergeometric: :math:`1 - \binom{N-K}{n} \Big/ \binom{N}{n}` for the K best of N.

    Parameters
    ----------
    size, top : int
        N, and K.
    n : array of int

    Returns
    -------
    array of float
        In the shape of `n`.
    """
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.sf(0, size, top, n))


def needed_for(size: int, top: int, chance: float = 0.95) -> int:
    """The fewest draws that hold one of the best `top` of `size` with at least this probability.

    Counted in integers: a probability may be met exactly, as 0.95 is by 19 of 20 draws, and that of
    `chance_of_top` is rounded.
    """
    miss, whole = (1 - Fraction(str(chance))).as_integer_ratio()
    draws = math.comb(size, top)
    low, high = 1, size - top + 1
    while low < high:
        middle = (low + high) // 2
        if whole * math.comb(size - middle, top) <= miss * draws:
            high = middle
        else:
            low = middle + 1
    return low
