"""What n random trials find, against all draws there are."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.analysis.best_of_n import best_of, chance_of_top, needed_for

score = st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])
scores = st.lists(score, min_size=1, max_size=7)


def lowest(values, share, weights):
    """The smallest value with at least this share of the weight up to it."""
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(np.asarray(weights)[order])
    return np.asarray(values)[order][np.argmax(sums > share * sums[-1] - 1e-9)]


def every_draw(values, tests, n, better):
    """(best, test score, weight) of all draws of n that hold a result; ties share the weight."""
    found = []
    for draw in itertools.combinations(range(len(values)), n):
        known = [i for i in draw if not np.isnan(values[i])]
        if known:
            best = better(values[i] for i in known)
            tied = [i for i in known if values[i] == best]
            found += [(best, tests[i], 1 / len(tied)) for i in tied]
    return np.array(found).reshape(-1, 3)


@given(
    st.lists(st.one_of(score, st.just(float("nan"))), min_size=1, max_size=7),
    st.sampled_from(["max", "min"]),
    st.data(),
)
def test_it_is_what_all_draws_give(values, mode, data):
    tests = data.draw(st.lists(st.floats(0, 1), min_size=len(values), max_size=len(values)))
    found = best_of(np.array(values), mode, np.array(tests))
    for n in range(1, len(values) + 1):
        draws = every_draw(values, tests, n, max if mode == "max" else min)
        if not len(draws):
            assert np.isnan([found.mean[n - 1], found.chosen_high[n - 1]]).all()
            continue
        best, test, weight = draws.T
        assert found.mean[n - 1] == pytest.approx(np.average(best, weights=weight))
        assert found.chosen_mean[n - 1] == pytest.approx(np.average(test, weights=weight))
        # a quantile is only as exact as the sum of chances up to it, where they meet 5 or 95 %
        for value, of, share in (
            (found.low[n - 1], best, 0.05),
            (found.high[n - 1], best, 0.95),
            (found.chosen_low[n - 1], test, 0.05),
            (found.chosen_high[n - 1], test, 0.95),
        ):
            assert lowest(of, share - 1e-6, weight) <= value <= lowest(of, share + 1e-6, weight)


def test_many_are_exact_at_both_ends():
    values = np.random.default_rng(0).permutation(np.arange(20_000.0))
    found = best_of(values, "max", most=2000)
    n = np.arange(1, 2001)
    assert found.mean == pytest.approx((n * 20_001) / (n + 1) - 1)  # of 0 … N-1, uniform
    assert found.chosen_mean == pytest.approx(found.mean)
    last = best_of(np.arange(300.0), "min")
    assert (last.mean[-1], last.low[-1], last.high[-1], last.chosen_high[-1]) == (0, 0, 0, 0)


def test_nothing_is_lost_where_most_share_one_value():
    values = np.repeat([0.5, 1.0], [10, 5000])
    tests = np.concatenate([np.zeros(10), np.linspace(0, 1, 5000)])
    found = best_of(values, "max", tests)
    assert found.chosen_mean[[99, 4999]] == pytest.approx(0.5)
    assert found.chosen_low[4999] == pytest.approx(0.05, abs=1e-3)


@settings(deadline=None)  # the first call imports scipy.stats
@given(st.integers(1, 8), st.data())
def test_the_chance_of_the_top_is_counted(size, data):
    top, n = data.draw(st.integers(1, size)), data.draw(st.integers(1, size))
    draws = list(itertools.combinations(range(size), n))
    counted = np.mean([min(draw) < top for draw in draws])
    assert chance_of_top(size, top, np.array([n])) == pytest.approx([counted])


@pytest.mark.parametrize(("size", "top", "n"), [(43_200, 1, 1), (43_200, 432, 20), (10**6, 7, 9)])
def test_the_chance_of_the_top_is_exact_in_large_grids(size, top, n):
    missed = Fraction(math.comb(size - n, top), math.comb(size, top))
    chance = chance_of_top(size, top, np.array(n))
    assert chance == pytest.approx(float(1 - missed), rel=1e-9)


@settings(deadline=None)
@given(st.integers(1, 300), st.data())
def test_what_is_needed_is_the_fewest_that_suffice(size, data):
    top = data.draw(st.integers(1, size))
    n = needed_for(size, top, 0.95)
    assert chance_of_top(size, top, np.array(n)) >= 0.95 - 1e-12
    assert n == 1 or chance_of_top(size, top, np.array(n - 1)) < 0.95


def test_a_chance_that_is_met_exactly_is_enough():
    assert needed_for(20, 1, 0.95) == 19
    assert needed_for(100, 1, 0.95) == 95


def test_three_hundred_draws_hold_one_of_the_best_hundredth():
    assert needed_for(43_200, 432) == 298
