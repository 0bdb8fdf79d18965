"""Spaces: what they draw, and that a configuration comes back from a table to the last bit."""

import csv
import functools
import io
import json
import math
import pickle
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning import Choice, Fixed, Float, Grid, Int, Space, TuningError
from tuning.runs.columns import cell_text
from tuning.space.given import space_of
from tuning.space.labels import from_json, text_of, to_json
from tuning.space.space import described
from tuning.trial import point_of

names = st.text("abcdefgh", min_size=1, max_size=3)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), finite, st.text(max_size=4))
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=5,
)
positive = st.floats(1e-300, 1e300)


def ordered(pair):
    return tuple(sorted(pair))


def apart(pair):
    return pair[0] < pair[1]


floats = st.one_of(
    st.tuples(finite, finite).map(ordered).filter(apart).map(lambda pair: Float(*pair)),
    st.tuples(positive, positive)
    .map(ordered)
    .filter(apart)
    .map(lambda pair: Float(*pair, log=True)),
)
ints = st.builds(
    lambda low, length, step, log: Int(low, low + length, step=step, log=log),
    st.integers(1, 2**40),
    st.integers(1, 2**40),
    st.integers(1, 9),
    st.booleans(),
)


@st.composite
def parameters(draw):
    kind = draw(st.sampled_from(["float", "int", "choice", "fixed"]))
    if kind == "float":
        return draw(floats)
    if kind == "int":
        return draw(ints)
    values = draw(st.lists(anything, min_size=1, max_size=4))
    try:
        return Choice(values) if kind == "choice" else Fixed(values[0])
    except TuningError:  # a value that is repeated
        return Fixed(values[0])


@st.composite
def spaces(draw):
    """Spaces in which some hyperparameters exist beside some values of the first alone."""
    found = {"first": Choice([0, 1, 2])}
    for name in draw(st.lists(names, max_size=4, unique=True)):
        parameter = draw(parameters())
        conditional = draw(st.booleans())
        found[name] = (
            parameter.when(first=draw(st.sampled_from([0, [1, 2]]))) if conditional else (parameter)
        )
    return Space(found)


@given(spaces(), st.integers())
def test_a_configuration_comes_back_from_csv_and_json_to_the_last_bit(space, seed):
    configuration = space.draw(Random(seed))
    text = io.StringIO()
    csv.writer(text).writerow([cell_text(configuration.get(name)) for name in space.parameters])
    (cells,) = csv.reader(io.StringIO(text.getvalue(), newline=""))
    again = space.read(dict(zip(space.parameters, cells, strict=True)))
    assert point_of(again) == point_of(configuration)
    assert json.loads(json.dumps(configuration)) == configuration
    assert space.labels(space.values(configuration)) == configuration
    assert point_of(space.labels(json.loads(point_of(configuration)))) == point_of(configuration)


@given(spaces())
def test_a_space_comes_back_from_its_description(space):
    again = described(json.loads(json.dumps(space.describe())))
    assert again == space
    assert hash(again) == hash(space)
    assert again.draw(Random(1)) == space.draw(Random(1))
    assert pickle.loads(pickle.dumps(space)) == space


@given(anything)
def test_a_value_comes_back_from_json_itself(value):
    again = from_json(json.loads(json.dumps(to_json(value))))
    assert repr(again) == repr(value)


@given(st.one_of(floats, ints), st.floats(0, 1), st.integers())
def test_a_range_keeps_to_its_ends(parameter, position, seed):
    for value in (parameter.at(0.0), parameter.at(1.0), parameter.at(position)):
        assert parameter.has(value)
    drawn = parameter.draw(Random(seed))
    assert parameter.has(drawn)
    assert 0 <= parameter.position(drawn) <= 1
    assert parameter.position(parameter.low) == 0


@pytest.mark.parametrize(
    "parameter",
    [
        Float(0.0, 5e-324),
        Float(-1.7e308, 1.7e308),
        Float(5e-324, 1.7e308, log=True),
        Float(1e300, math.nextafter(1e300, math.inf), log=True),
        Int(-(2**53), 2**53),
        Int(2**53 - 1, 2**53, log=True),
        Int(1, 2**53, log=True),
        Int(3, 4, step=2),
    ],
)
def test_a_range_may_be_as_narrow_or_wide_as_numbers_are(parameter):
    for position in (0.0, 0.5, 1.0):
        value = parameter.at(position)
        assert parameter.has(value)
        assert 0 <= parameter.position(value) <= 1
    assert parameter.has(parameter.draw(Random(0)))


def test_each_number_of_a_range_is_about_as_likely_on_its_scale():
    random = Random(0)
    drawn = [Float(1e-4, 1.0, log=True).draw(random) for _ in range(4000)]
    counts, _ = np.histogram(np.log10(drawn), bins=4, range=(-4, 0))
    assert counts.min() > 850
    drawn = [Int(1, 64, log=True).draw(random) for _ in range(4000)]
    assert abs(sum(value <= 8 for value in drawn) - 2000) < 450
    drawn = [Int(0, 10, step=5).draw(random) for _ in range(3000)]
    assert {value: drawn.count(value) > 850 for value in set(drawn)} == dict.fromkeys(
        (0, 5, 10), True
    )


def test_a_hyperparameter_exists_where_its_conditions_hold():
    space = Space(
        {
            "layers": [1, 2, 3],
            "second": Int(4, 8).when(layers=[2, 3]),
            "third": Choice([True, False]).when(layers=3, second=[4, 5]),
            "rate": 0.1,
        }
    )
    seen = {tuple(space.draw(Random(i))) for i in range(200)}
    assert seen == {
        ("layers", "rate"),
        ("layers", "second", "rate"),
        ("layers", "second", "third", "rate"),
    }
    every = list(space.all())
    assert len(every) == space.size == 1 + 5 + 3 + 2 * 2
    assert len({point_of(each) for each in every}) == len(every)
    assert space.draw(Random(0), {"layers": 3, "second": 4})["second"] == 4
    assert Space({"a": Float(0, 1)}).size == math.inf


def square(x):
    return x * x


class Own:
    """A class of the user's."""


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ((64, 32), "(64, 32)"),
        ((64,), "(64,)"),
        ([64, 32], "[64, 32]"),
        ({"units": 64, "by": square}, "{'units': 64, 'by': square}"),
        (square, "square"),
        (Own, "Own"),
        (Own(), "Own"),
        (len, "len"),
        (lambda x: x, "lambda"),
        (functools.partial(square, 3), "square(3)"),
        (functools.partial(square, x=[1]), "square(x=[1])"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, …"),
    ],
)
def test_a_value_that_is_no_scalar_has_a_readable_label(value, label):
    assert text_of(value) == label
    for space in (Grid({"a": [value, 1]}), Space({"a": [value, 1]})):
        configuration = space.labels({"a": value})
        assert configuration == {"a": label}
        found = space.values(configuration)["a"]
        assert found is value or found == value
        assert space.values(space.values(configuration)) == space.values(configuration)


def test_labels_are_unique_and_their_cells_as_well():
    values = [1, "1", None, "None", "", (1,), "(1,)", "'1'", lambda x: x, lambda x: -x, "=1+1"]
    space = Space({"a": values})
    labels = space.parameters["a"].values
    assert labels[:6] == (1, "'1' (2)", "'None'", "None", "''", "(1,) (2)") or len(
        {cell_text(label) for label in labels}
    ) == len(values)
    assert "" not in map(cell_text, labels)
    for value in values:
        assert space.values({"a": space.label("a", value)})["a"] == value


def test_build_model_may_change_what_it_gets():
    space = Grid({"widths": [[64, 32], [8]]})
    first = space.values(space[0])
    first["widths"].pop()
    assert space.values(space[0]) == {"widths": [64, 32]}


def test_a_grid_of_any_values_counts_by_its_labels():
    grid = Grid({"widths": [(64, 32), (8,)], "act": [square, None], "units": [1, 2]})
    assert grid.size == 8
    assert grid[1] == {"widths": "(64, 32)", "act": "square", "units": 2}
    assert grid.index({"widths": (8,), "act": None, "units": 1}) == 6
    assert grid.index(grid[5]) == 5
    assert {"widths": (8,), "act": square, "units": 2} in grid
    with pytest.raises(TuningError, match="is not a value of axis 'widths'"):
        grid.index({"widths": [8], "act": None, "units": 1})


def test_a_dict_of_lists_and_constants_is_a_grid_and_one_with_a_range_is_not():
    assert space_of({"a": [1, 2]}) == Grid({"a": [1, 2]})
    assert space_of({"a": Choice([1, 2]), "b": 3}) == Grid({"a": [1, 2], "b": [3]})
    assert space_of({"a": (1, 2), "b": Fixed((3, 4))}) == Grid({"a": [1, 2], "b": [(3, 4)]})
    mixed = space_of({"a": [1, 2], "b": Float(0, 1), "c": "relu"})
    assert not isinstance(mixed, Grid)
    assert set(mixed.draw(Random(0))) == {"a", "b", "c"}
    conditional = space_of({"a": [1, 2], "b": Choice([3]).when(a=1)})
    assert not isinstance(conditional, Grid)


def test_numbers_of_numpy_are_taken():
    space = Space({"a": np.arange(3), "b": Float(0, 1), "c": Int(1, 3)})
    configuration = space.labels({"a": np.int64(2), "b": np.float64(0.5), "c": np.int32(3)})
    assert configuration == {"a": 2, "b": 0.5, "c": 3}
    assert [type(each) for each in configuration.values()] == [int, float, int]
    assert space.labels({"a": 0, "b": 1, "c": 1})["b"] == 1.0
    with pytest.raises(TuningError, match="is not a value of hyperparameter 'c'"):
        space.labels({"a": 0, "b": 1, "c": True})
