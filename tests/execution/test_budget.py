"""Budgets: a search ends with the first of its limits, and goes on with what is left of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import AXES, by_rate, manifest_of, outcome_of
from tuning import Grid, TuningError
from tuning.budget import Budget, Course, seconds_of
from tuning.execution.loop import search
from tuning.execution.table import Memory, TableExecutor
from tuning.runs.run import Run
from tuning.samplers import SweepSampler, trial_at
from tuning.trial import Outcome, Spent, Trial

GRID = Grid(AXES)
METRIC = "val_accuracy"


@pytest.fixture
def table():
    """Each trial takes half a second."""
    trials = [trial_at(GRID, index, index, 0) for index in range(GRID.size)]
    return {
        each.index: outcome_of(each, by_rate(each.configuration, each.index)) for each in trials
    }


def swept(table, record, budget, spent=None):
    """Why a sweep ended, and how many trials are counted."""
    executor = TableExecutor(table)
    course = Course(budget, METRIC, "max", spent or Spent())
    sampler = SweepSampler(GRID)
    why = search({"sweep": sampler}, executor, record, executor.packer, course=course)
    return why, course


def test_without_a_budget_a_strategy_ends_a_search(table):
    memory = Memory()
    why, _ = swept(table, memory, Budget())
    assert (why, len(memory.counted)) == ("", GRID.size)


def test_a_target_ends_it_at_once(table):
    memory = Memory()
    target = by_rate(GRID[4], 4)
    why, _ = swept(table, memory, Budget(target=target))
    assert why == f"the target {target:g} was reached"
    assert memory.counted[-1][1].metrics[METRIC] >= target
    assert sum(each.metrics[METRIC] >= target for _, each in memory.counted) == 1


def test_trials_without_gain_end_it(table):
    memory = Memory()
    why, course = swept(table, memory, Budget(stop_after=4))
    assert why == "4 trials in a row were not better than the best before them"
    scores = [each.metrics[METRIC] for _, each in memory.counted]
    assert len(scores) < GRID.size
    assert max(scores[-4:]) < max(scores[:-4]) == course.best


def test_time_ends_it_by_the_clock_of_the_executor(table):
    memory = Memory()
    why, course = swept(table, memory, Budget(time=3.0))
    assert why == "its time of 3 s was over"
    assert course.spent.seconds >= 3.0
    assert len(memory.counted) == 6


@pytest.mark.parametrize("limit", [Budget(target=0.93), Budget(stop_after=4), Budget(time=3.0)])
def test_a_search_that_goes_on_has_what_is_left(table, tmp_path, limit):
    whole = Memory()
    swept(table, whole, limit)
    counted = []
    for k in range(1, len(whole.counted) + 1):
        part = tmp_path / str(k)
        with Run.create(part, manifest_of(AXES)) as run:
            executor, course = TableExecutor(table), Course(limit, METRIC, "max")
            first = {i: table[each.trial.index] for i, (_, each) in enumerate(whole.counted[:k])}
            for outcome in first.values():
                run.count([("sweep", outcome)])
                course.spent.seconds += 0.5
            run.spend(["sweep"], course.spent)
        with Run.open(part) as run:
            spent = run.spent(["sweep"])
            assert spent.seconds == course.spent.seconds
            course = Course(limit, METRIC, "max", spent)
            search({"sweep": SweepSampler(GRID)}, executor, run, executor.packer, course=course)
            counted.append(run.counted)
    assert set(counted) == {len(whole.counted)}


def test_what_was_stopped_does_not_count_as_a_trial_without_gain():
    course = Course(Budget(stop_after=1), METRIC, "max")
    trial = Trial(0, {"epochs": 3}, 0, epochs=1)
    course.count([Outcome(trial, "stopped", "fit", "jax", {METRIC: 0.9})])
    assert (course.over, math.isnan(course.best)) == ("", True)


@given(st.floats(0.001, 1e6), st.sampled_from([("s", 1), ("", 1), ("m", 60), ("h", 3600)]))
def test_durations(number, unit):
    assert seconds_of(f"{number!r}{unit[0]}") == pytest.approx(number * unit[1])


@pytest.mark.parametrize(
    ("metric", "mode", "target"),
    [("val_accuracy", "max", 1.1), ("val_auc", "max", 1.01), ("val_accuracy", "min", -0.1)],
)
def test_a_target_that_cannot_be_reached_is_refused(metric, mode, target):
    with pytest.raises(TuningError, match=r"^--target"):
        Budget(target=target).check_target(metric, mode)
    Budget(target=target).check_target("val_loss", "min")
