"""How the trials of a search are cut into packs."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning import Grid
from tuning.packing.axes import Axis, Packing
from tuning.packing.packs import LARGEST_PACK, Packer
from tuning.samplers import trial_at

ROWS = 10_000


def grid_of(programs: int, members: int, twice_as_large: int = 0) -> tuple[Grid, Packing]:
    """A grid of so many programs, and some of them larger than others."""
    grid = Grid({"program": range(programs), "rate": range(members), "epochs": [4, 8, 12]})
    sizes = dict.fromkeys(range(twice_as_large), 2.0)
    axes = {
        "program": Axis("structural", "", sizes=sizes),
        "rate": Axis("lifted", ""),
        "epochs": Axis("fidelity", ""),
    }
    return grid, Packing(axes, parameters=1000)


def split(grid, indices, packing, workers):
    """The packs of some grid points."""
    trials = [trial_at(grid, index, number, 0) for number, index in enumerate(indices)]
    return Packer(packing, ROWS, workers).split(trials)


@given(st.integers(1, 12), st.integers(1, 100), st.integers(1, 9), st.data())
def test_packs_are_of_whole_trajectories_of_one_program(programs, members, workers, data):
    grid, packing = grid_of(programs, members, programs // 2)
    indices = data.draw(st.lists(st.sampled_from(range(grid.size)), min_size=1, unique=True))
    packs = split(grid, indices, packing, workers)
    assert sorted(trial.index for pack in packs for trial in pack.trials) == sorted(indices)
    seen = collections.Counter()
    for pack in packs:
        each = [trial.configuration for trial in pack.trials]
        trajectories = {packing.trajectory(configuration) for configuration in each}
        assert len({packing.program(configuration) for configuration in each}) == 1
        assert len(trajectories) <= LARGEST_PACK
        seen.update(trajectories)
    assert set(seen.values()) == {1}


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 9))
def test_many_programs_stay_whole_and_the_last_are_shared(rounds, workers):
    programs = rounds * workers
    grid, packing = grid_of(programs, members=48)
    packs = split(grid, range(grid.size), packing, workers)
    whole = [pack for pack in packs if len(pack.trials) == 48 * 3]
    assert len(whole) == programs - workers + 1
    ends = [0.0] * workers  # each pack, the longest first, goes to who is free first
    for pack in sorted(packs, key=lambda pack: -pack.work.seconds):
        ends[ends.index(min(ends))] += pack.work.seconds
    assert max(ends) - min(ends) <= 0.55 * whole[0].work.seconds


def test_the_largest_models_go_first():
    grid, packing = grid_of(4, 3, twice_as_large=1)
    first, *others = split(grid, range(grid.size), packing, workers=1)
    assert {trial.configuration["program"] for trial in first.trials} == {0}
    assert all(first.work.seconds == pytest.approx(2 * pack.work.seconds) for pack in others)


def test_what_goes_through_fit_is_one_trial_a_pack():
    grid, _ = grid_of(2, 3)
    packs = split(grid, range(18), Packing(reason="no"), 2)
    assert [[trial.index for trial in pack.trials] for pack in packs] == [[i] for i in range(18)]
