"""Random search draws without replacement, from grids of any size."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning import Grid, RandomSampler, TuningError
from tuning.samplers import FINISHED


def indices(answer):
    return [] if answer is FINISHED else [trial.index for trial in answer]


@given(st.integers(1, 60), st.integers(0, 2**40), st.lists(st.integers(1, 9), max_size=30))
def test_every_point_comes_once_however_it_is_asked(size, seed, batches):
    grid = Grid({"a": range(size)})
    sampler = RandomSampler(grid, size, seed)
    drawn = [index for n in batches for index in indices(sampler.ask(n))]
    drawn += indices(sampler.ask(size))
    assert sorted(drawn) == list(range(size))
    assert sampler.ask(1) is FINISHED
    assert drawn == indices(RandomSampler(grid, size, seed).ask(size))


@given(st.integers(2, 50), st.integers(0, 1000))
def test_a_longer_search_begins_with_the_shorter(size, seed):
    grid = Grid({"a": range(size)})
    assert RandomSampler(grid, size, seed).ask(size // 2) == RandomSampler(
        grid, size // 2, seed
    ).ask(size)


def test_memory_follows_what_was_drawn_not_the_grid():
    grid = Grid({f"axis_{i}": range(10) for i in range(18)})
    sampler = RandomSampler(grid, 1000, seed=0)
    drawn = indices(sampler.ask(1000))
    assert len(set(drawn)) == 1000
    assert max(drawn) < 10**18
    assert sys.getsizeof(sampler._draws._moved) < 100_000


def test_every_point_is_as_likely():
    grid = Grid({"a": range(10)})
    first = [RandomSampler(grid, 1, seed).ask(1)[0].index for seed in range(2000)]
    counts = [first.count(point) for point in range(10)]
    chi_squared = sum((count - 200) ** 2 / 200 for count in counts)
    assert chi_squared < 27.9  # 9 degrees of freedom: exceeded once in a thousand


def test_more_than_the_grid_has_is_refused():
    with pytest.raises(TuningError, match=r"cannot draw 11 random configurations: .* 0 to 10"):
        RandomSampler(Grid({"a": range(10)}), 11, seed=0)
    with pytest.raises(TuningError, match="cannot draw -1"):
        RandomSampler(Grid({"a": range(10)}), -1, seed=0)


def test_configurations_to_start_with_come_first_and_once():
    grid = Grid({"a": range(10), "b": ["x", "y"]})
    start = [{"a": 7, "b": "y"}, {"b": "x", "a": 0}, {"a": 7, "b": "y"}]
    sampler = RandomSampler(grid, 20, seed=3, start=start)
    drawn = indices(sampler.ask(20))
    assert drawn[:2] == [15, 0]
    assert sorted(drawn) == list(range(20))
    rest = [index for index in indices(RandomSampler(grid, 20, 3).ask(20)) if index not in (15, 0)]
    assert drawn[2:] == rest
    with pytest.raises(TuningError, match="10 is not a value of axis 'a'"):
        RandomSampler(grid, 5, 0, start=[{"a": 10, "b": "x"}])
    with pytest.raises(TuningError, match="2 configurations to start with, and only 1 trials"):
        RandomSampler(grid, 1, 0, start=start)
