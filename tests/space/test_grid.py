"""The arithmetic of grids, and what a grid refuses."""

import itertools
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning import Grid, TuningError

values = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.none(),
)
axes = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.lists(values, min_size=1, max_size=4, unique=True),
    min_size=1,
    max_size=5,
)


@given(axes)
def test_points_are_those_of_nested_loops_and_index_inverts(axes):
    grid = Grid(axes)
    expected = [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    assert len(grid) == grid.size == len(expected)
    assert list(grid) == expected
    assert [grid[i] for i in range(len(grid))] == expected
    assert [grid.index(point) for point in grid] == list(range(len(grid)))
    assert all(point in grid for point in expected)


@given(axes, st.integers(-700, 700), st.integers(-700, 700), st.sampled_from([None, 1, 2, -1, -3]))
def test_slices_and_negative_indices_are_those_of_a_list(axes, start, stop, step):
    grid = Grid(axes)
    points = list(grid)
    assert list(grid[start:stop:step]) == points[start:stop:step]
    assert grid[-1] == points[-1]
    assert list(grid[start:][::2]) == points[start:][::2]
    for outside in (len(points), -len(points) - 1):
        with pytest.raises(IndexError):
            grid[outside]


def test_a_grid_beyond_maxsize_costs_nothing():
    grid = Grid({f"axis_{i}": range(10) for i in range(30)})
    assert grid.size == 10**30 > sys.maxsize
    with pytest.raises(OverflowError):
        len(grid)
    assert grid[-1] == dict.fromkeys(grid.axes, 9)
    assert grid.index(grid[123456789 * 10**20]) == 123456789 * 10**20
    assert grid[10**29 :][0]["axis_0"] == 1
    assert next(iter(grid)) == dict.fromkeys(grid.axes, 0)
    assert bool(grid)


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ({}, "at least one axis"),
        ([1, 2], "mapping"),
        ({"a": []}, "'a' has no values"),
        ({"a": [1, 2, 1]}, "'a' repeats 1"),
        ({"a": [1, 1.0]}, "1 and 1.0 are equal"),
        ({"a": [True, 1]}, "True and 1 are equal"),
        ({"a": [(1, 2), (1, 2)]}, r"repeats \(1, 2\)"),
        ({"a": [math.sin, math.sin]}, "repeats of type builtin_function_or_method"),
        ({"a": [math.nan]}, "not finite"),
        ({"a": "relu"}, "needs a list"),
        ({"a": 3}, "needs a list"),
        ({3: [1]}, "cannot name an axis"),
        ({"a\n": [1]}, "cannot name an axis"),
    ],
)
def test_bad_axes_are_refused_by_name(axes, says):
    with pytest.raises(TuningError, match=says):
        Grid(axes)


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ({"a": 1}, "lacks axis 'b'"),
        ({"a": 1, "b": "x", "c": 0}, "unknown axis 'c': the grid has a, b"),
        ({"a": 3, "b": "x"}, r"3 is not a value of axis 'a': it has \[1, 2\]"),
        ({"a": 1.0, "b": "x"}, "1.0 is not a value"),
        ({"a": True, "b": "x"}, "True is not a value"),
        ({"a": [1], "b": "x"}, "is not a value"),
    ],
)
def test_what_is_not_a_point_is_refused(configuration, says):
    grid = Grid({"a": [1, 2], "b": ["x", None]})
    with pytest.raises(TuningError, match=says):
        grid.index(configuration)
    assert configuration not in grid


def test_numpy_values_become_pythons():
    grid = Grid({"rate": np.array([0.25, 0.5]), "units": np.arange(1, 3)})
    assert grid == Grid({"rate": [0.25, 0.5], "units": [1, 2]})
    assert type(grid[0]["units"]) is int
    assert grid.index({"rate": np.float64(0.5), "units": np.int64(1)}) == 2


def test_equality_sees_order_and_type():
    grid = Grid({"a": [1, 2], "b": [0.5]})
    assert grid == Grid({"a": (1, 2), "b": [0.5]})
    assert hash(grid) == hash(Grid({"a": (1, 2), "b": [0.5]}))
    assert grid != Grid({"b": [0.5], "a": [1, 2]})
    assert grid != Grid({"a": [1.0, 2], "b": [0.5]})
    assert grid != {"a": [1, 2], "b": [0.5]}


def test_repr_says_the_size_and_the_values():
    assert repr(Grid({"a": [1, 2], "b": ["x"]})) == "Grid(2 configurations of a: [1, 2], b: ['x'])"
    assert "[0, 1, 2, 3, 4, 5, …, 999] (1,000)" in repr(Grid({"a": range(1000)}))


def test_axes_are_read_only():
    with pytest.raises(TypeError):
        Grid({"a": [1]}).axes["b"] = (1,)


@given(axes, st.data())
def test_a_point_lies_on_a_line_along_each_axis(axes, data):
    grid = Grid(axes)
    point = data.draw(st.integers(0, grid.size - 1))
    for axis, values in grid.axes.items():
        assert values[grid.position(axis, point)] == grid[point][axis]
        assert grid[grid.line(axis, point)] == {**grid[point], axis: values[0]}
