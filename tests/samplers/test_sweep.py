"""A sweep walks the grid in order, all of it or a part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning import Grid, SweepSampler, TuningError
from tuning.samplers import FINISHED

GRID = Grid({"a": range(10), "b": range(4)})


def indices(answer):
    return [] if answer is FINISHED else [trial.index for trial in answer]


def sweep(points, order):
    return SweepSampler.from_settings(GRID, 0, {"points": points, "order": order})


@given(st.data(), st.lists(st.integers(1, 9), max_size=30))
def test_a_range_comes_in_order_however_it_is_asked(data, batches):
    start = data.draw(st.integers(0, 39))
    stop = data.draw(st.integers(start + 1, 40))
    sampler = SweepSampler(GRID, start, stop)
    asked = [index for n in [*batches, 40] for index in indices(sampler.ask(n))]
    assert asked == list(range(start, stop))
    assert sampler.ask(1) is FINISHED
    assert sampler.n_trials == stop - start


@given(st.integers(1, 40))
def test_spaced_points_are_distinct_and_even(n):
    points = indices(SweepSampler(GRID, trials=n).ask(100))
    gaps = [b - a for a, b in zip(points, [*points[1:], 40], strict=True)]
    assert points[0] == 0
    assert len(points) == n
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("text", "order", "points"),
    [
        ("3", "grid", [0, 1, 2]),
        ("4", "spaced", [0, 10, 20, 30]),
        ("5:8", "grid", [5, 6, 7]),
        ("all", "grid", list(range(40))),
        ("all", "spaced", list(range(40))),
    ],
)
def test_what_the_command_line_takes(text, order, points):
    assert indices(sweep(text, order).ask(100)) == points


@pytest.mark.parametrize(
    ("text", "order", "says"),
    [
        ("0", "grid", "cannot sweep 0 configurations"),
        ("41", "grid", "cannot sweep 41 configurations: the grid has 40"),
        ("8:5", "grid", "0 <= A < B <= 40"),
        ("5:5", "grid", "0 <= A < B <= 40"),
        ("0:41", "grid", "0 <= A < B <= 40"),
        ("0:8", "spaced", "takes a number of points"),
        ("-3", "grid", "a number N, a range A:B or all, not '-3'"),
        ("1.5", "grid", "not '1.5'"),
        ("a:b", "grid", "not 'a:b'"),
        ("", "grid", "not ''"),
        ("²", "grid", "not '²'"),
    ],
)
def test_anything_else_is_refused(text, order, says):
    with pytest.raises(TuningError, match=says):
        sweep(text, order)
