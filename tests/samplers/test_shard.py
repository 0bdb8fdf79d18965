"""Shards: together the whole search, each of whole programs, and about equal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.made import Climber
from tuning import Grid, TuningError
from tuning.packing.axes import UNPACKED, Axis, Packing, shard_position
from tuning.samplers import FINISHED, RandomSampler, Shard, ShardSampler, SweepSampler

KINDS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(["structural", "lifted"])), min_size=1, max_size=4
)


def grid_and_packing(axes):
    grid = Grid({f"a{i}": range(n) for i, (n, _) in enumerate(axes)} | {"epochs": [1, 2, 3]})
    kinds = {f"a{i}": Axis(kind, "") for i, (_, kind) in enumerate(axes)}
    return grid, Packing(kinds | {"epochs": Axis("fidelity", "")})


@settings(deadline=None, max_examples=60)
@given(KINDS, st.integers(1, 20), st.booleans())
def test_shards_share_the_grid_and_no_trajectory(axes, n, packs):
    grid, packing = grid_and_packing(axes)
    packing = packing if packs else UNPACKED
    parts = []
    for k in range(1, n + 1):
        shard = Shard(k, n)
        own = ShardSampler(
            SweepSampler(grid),
            lambda trial, s=shard: s.has(*shard_position(grid, trial.index, packing.kinds)),
        )
        asked = own.ask(10**6)
        parts.append([] if asked is FINISHED else [trial.index for trial in asked])
        assert len(parts[-1]) == own.n_trials
        assert own.ask(1) is FINISHED
    assert sorted(trial for part in parts for trial in part) == list(range(grid.size))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= (3 if packs else 1)  # a trajectory, of three trials
    if packs:
        where = [{packing.trajectory(grid[t]) for t in part} for part in parts]
        assert sum(map(len, where)) == grid.size // 3
        programs = [{packing.program(grid[t]) for t in part} for part in parts]
        cut = sum(map(len, programs)) - len(set().union(*programs))
        assert cut <= n - 1


def test_a_shard_of_a_random_search_keeps_its_order_and_its_numbers():
    grid = Grid({"a": range(100)})
    whole = RandomSampler(grid, 40, 0).ask(40)
    shard = Shard.parse("2/3")
    own = ShardSampler(
        RandomSampler(grid, 40, 0), lambda t: shard.has(*shard_position(grid, t.index, {}))
    )
    mine = own.ask(5) + own.ask(100)
    assert mine == [trial for trial in whole if trial in mine]
    assert 5 < len(mine) < 25


def test_no_shard_of_a_strategy_that_learns_is_trained_alone():
    with pytest.raises(TuningError, match="learns from outcomes, so no shard of it"):
        ShardSampler(Climber(Grid({"a": range(9)}), 4, 0), lambda trial: True)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "-1/3", "a/b", "1/2/3", ""])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(TuningError, match="--shard takes K/N"):
        Shard.parse(text)
    assert str(Shard.parse("3/16")) == "3/16"
