"""How the trials of a search are cut into packs."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import TINY
from tuning import Grid, load_problem
from tuning.execution.driver import LARGEST_PACK, _packs
from tuning.packing.axes import Axis, Packing
from tuning.problem.problem import Problem

ROWS = 10_000


def problem_of(programs: int, members: int, twice_as_large: int = 0) -> tuple[Problem, Packing]:
    """A grid of so many programs, and some of them larger than others."""
    grid = Grid({"program": range(programs), "rate": range(members), "epochs": [4, 8, 12]})
    sizes = dict.fromkeys(range(twice_as_large), 2.0)
    axes = {
        "program": Axis("structural", "", sizes=sizes),
        "rate": Axis("lifted", ""),
        "epochs": Axis("fidelity", ""),
    }
    problem = load_problem(str(TINY))
    made = Problem(problem.code, grid, problem.load_data, problem.build_model)
    return made, Packing(axes, parameters=1000)


@given(st.integers(1, 12), st.integers(1, 100), st.integers(1, 9), st.data())
def test_packs_are_of_whole_trajectories_of_one_program(programs, members, workers, data):
    problem, packing = problem_of(programs, members, programs // 2)
    trials = data.draw(st.lists(st.sampled_from(range(problem.grid.size)), min_size=1, unique=True))
    packs = _packs(problem, trials, packing, ROWS, workers)
    assert sorted(trial for pack in packs for trial in pack.trials) == sorted(trials)
    seen = collections.Counter()
    for pack in packs:
        each = [problem.grid[trial] for trial in pack.trials]
        trajectories = {packing.trajectory(configuration) for configuration in each}
        assert len({packing.program(configuration) for configuration in each}) == 1
        assert len(trajectories) <= LARGEST_PACK
        seen.update(trajectories)
    assert set(seen.values()) == {1}


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 9))
def test_many_programs_stay_whole_and_the_last_are_shared(rounds, workers):
    programs = rounds * workers
    problem, packing = problem_of(programs, members=48)
    packs = _packs(problem, range(problem.grid.size), packing, ROWS, workers)
    whole = [pack for pack in packs if len(pack.trials) == 48 * 3]
    assert len(whole) == programs - workers + 1
    ends = [0.0] * workers  # each pack, the longest first, goes to who is free first
    for pack in sorted(packs, key=lambda pack: -pack.work.seconds):
        ends[ends.index(min(ends))] += pack.work.seconds
    assert max(ends) - min(ends) <= 0.55 * whole[0].work.seconds


def test_the_largest_models_go_first():
    problem, packing = problem_of(4, 3, twice_as_large=1)
    first, *others = _packs(problem, range(problem.grid.size), packing, ROWS, workers=1)
    assert {problem.grid[trial]["program"] for trial in first.trials} == {0}
    assert all(first.work.seconds == pytest.approx(2 * pack.work.seconds) for pack in others)


def test_what_goes_through_fit_is_one_trial_a_pack():
    problem, _ = problem_of(2, 3)
    packs = _packs(problem, range(18), Packing(reason="no"), ROWS, 2)
    assert [pack.trials for pack in packs] == [[trial] for trial in range(18)]
