"""One loop for all strategies and all executors: one suite over both."""

from dataclasses import replace

import pytest

from tests.conftest import TINY
from tests.made import Climber
from tuning import TuningError
from tuning.execution.cluster import Cluster, ray_cluster
from tuning.execution.local import LocalExecutor
from tuning.execution.loop import Progress, search, train_all
from tuning.execution.processes import ProcessExecutor
from tuning.execution.ray import RayExecutor
from tuning.execution.slots import SlotExecutor
from tuning.execution.table import Memory, OnTable, TableExecutor, answer
from tuning.execution.worker import Job
from tuning.packing.packs import Packer
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.samplers import (
    WAIT,
    RandomSampler,
    Sampler,
    SweepSampler,
    strategies,
    strategy,
    trial_at,
)

SETTINGS = {"sweep": {"points": "2:9", "order": "grid"}}  # where it is not a number of trials


def registered(name):
    settings = SETTINGS.get(name, {"trials": 6})
    return lambda grid: strategy(name).from_settings(grid, 0, settings)


SAMPLERS = {name: registered(name) for name in strategies()}
SAMPLERS["one that learns"] = lambda grid: Climber(grid, 8, 0)


@pytest.fixture(scope="module")
def problem():
    return load_problem(str(TINY))


@pytest.fixture(scope="module")
def table(problem):
    """What the grid's trials come to, by this process."""
    executor = LocalExecutor(problem, Job(0, "jax"), engine="auto")
    executor.load(load_data(problem))
    executor.probe()
    trials = [trial_at(problem.grid, i, i, 0) for i in range(problem.grid.size)]
    reports = train_all(executor, executor.packer.split(trials))
    return {each.trial.index: each for report in reports for each in report.outcomes}


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(workers=2) as cluster:
        yield cluster


ON_RAY = [pytest.param(f"ray {n}", marks=pytest.mark.slow) for n in (1, 2)]


@pytest.fixture(params=["table 1", "table 3", "local", "processes 1", "processes 2", *ON_RAY])
def executor(request, problem, table):
    kind, _, workers = request.param.partition(" ")
    if kind == "table":
        yield TableExecutor(table, int(workers))
        return
    if kind == "local":
        made = LocalExecutor(problem, Job(0, "jax"), engine="auto")
    elif kind == "processes":
        made = ProcessExecutor(problem, Job(0, "jax"), engine="auto", workers=int(workers))
    else:
        request.getfixturevalue("cluster")
        own = Cluster(int(workers), int(workers))
        made = RayExecutor(problem, Job(0, "jax"), engine="auto", cluster=own)
    made.load(load_data(problem))
    made.probe()
    yield made
    if isinstance(made, SlotExecutor):
        made.close()


def order_of(memory, name):
    """A strategy's trials in its order, as they were counted."""
    own = [outcome.trial for strategy, outcome in memory.counted if strategy == name]
    return sorted(own, key=lambda trial: trial.number)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_strategy_trains_the_same_on_every_executor(name, executor, problem, table):
    memory, expected = Memory(), Memory()
    search({name: SAMPLERS[name](problem.grid)}, executor, memory, executor.packer)
    packer = executor.packer
    reference = TableExecutor(table, packing=packer.packing, n_rows=packer.n_rows)
    search({name: SAMPLERS[name](problem.grid)}, reference, expected, reference.packer)
    assert order_of(memory, name) == order_of(expected, name)
    begun = {repr({**o.trial.configuration, "epochs": 0}) for _, o in memory.counted}
    sampler = SAMPLERS[name](problem.grid)
    assert (len(begun) if sampler.ahead else len(memory.counted)) <= sampler.n_trials
    for _, outcome in memory.counted:
        same = answer(outcome.trial, table[outcome.trial.index])
        assert outcome.status == same.status
        assert outcome.metrics == pytest.approx(same.metrics, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("n", [0, 1, 3, 5])
def test_a_search_that_was_interrupted_comes_to_the_same(name, n, problem, table):
    class Interrupted(Progress):
        left = n

        def trained(self, pack, report, counted):
            self.left -= len(counted)
            if self.left < 0:
                raise KeyboardInterrupt

    class Resumed(Memory):
        """A memory that was there before, as a run that is opened again."""

        def outcomes(self, strategy):
            return {o.trial.number: o for own, o in self.counted if own == strategy}

    whole = Memory()
    executor = TableExecutor(table, 2)
    search({name: SAMPLERS[name](problem.grid)}, executor, whole, executor.packer)
    memory = Resumed()
    executor = TableExecutor(table, 2)
    sampler = SAMPLERS[name](problem.grid)
    with pytest.raises(KeyboardInterrupt):
        search({name: sampler}, executor, memory, executor.packer, Interrupted())
    assert len(memory.counted) == n + 1
    executor = TableExecutor(table, 2)
    search({name: SAMPLERS[name](problem.grid)}, executor, memory, executor.packer)
    assert order_of(memory, name) == order_of(whole, name)


def test_strategies_that_share_trials_have_them_trained_once(problem, table):
    submitted = []

    class Counting(TableExecutor):
        def submit(self, pack, keep=None):
            submitted.extend(trial.index for trial in pack.trials)
            super().submit(pack, keep)

    memory, executor = Memory(), Counting(table)
    search(
        {"random": RandomSampler(problem.grid, 6, 0), "sweep": SweepSampler(problem.grid)},
        executor,
        memory,
        executor.packer,
    )
    assert sorted(submitted) == list(range(problem.grid.size))
    assert len(memory.counted) == problem.grid.size + 6
    numbers = [trial.number for trial in order_of(memory, "random")]
    assert numbers == list(range(6))
    search(
        {"other": SweepSampler(problem.grid, 0, 3)}, executor, memory, executor.packer
    )  # counted for others before
    assert len(submitted) == problem.grid.size
    assert [trial.index for trial in order_of(memory, "other")] == [0, 1, 2]


def test_outcomes_are_told_in_the_order_of_the_trials(problem, table):
    slow_first = {i: replace(each, seconds=100.0 - i) for i, each in table.items()}
    executor, memory = TableExecutor(slow_first, 4), Memory()
    search({"climber": Climber(problem.grid, 8, 0)}, executor, memory, executor.packer)
    arrived = [outcome.trial.number for _, outcome in memory.counted]
    assert arrived != sorted(arrived)  # Climber itself asserts that it is told in order


def test_the_clock_of_a_table_is_that_of_its_workers(problem, table):
    timed = {i: replace(each, seconds=1.0) for i, each in table.items()}
    for workers, seconds in ((1, 8), (2, 4), (3, 3)):
        executor, memory = TableExecutor(timed, workers), Memory()
        search({"s": SweepSampler(problem.grid, 0, 8)}, executor, memory, executor.packer)
        assert executor.clock == seconds


def test_a_strategy_that_changed_does_not_go_on(problem, table):
    executor, memory = TableExecutor(table), Memory()
    search({"s": SweepSampler(problem.grid, 0, 3)}, executor, memory, executor.packer)
    with pytest.raises(TuningError, match="trial 0 of the strategy 's' is another configuration"):
        search({"s": SweepSampler(problem.grid, 1, 3)}, executor, memory, executor.packer)


class Broken(Sampler):
    n_trials = 3

    def __init__(self, answer):
        self.answer = answer

    def ask(self, n):
        return self.answer()


def raising():
    raise OSError("no")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda: WAIT, "the strategy 'b' waits for outcomes, but has heard of all"),
        (raising, "ask of the sampler Broken failed: OSError: no"),
        (lambda: [7], "ask of the sampler Broken failed: TypeError: it gives int, not Trial"),
        (lambda: None, "ask of the sampler Broken failed: TypeError: it gives NoneType"),
    ],
)
def test_a_broken_strategy_is_named(problem, table, answer, says):
    executor = TableExecutor(table)
    with pytest.raises(TuningError, match=says):
        search({"b": Broken(answer)}, executor, Memory(), executor.packer)


def test_a_strategy_that_cannot_hear_is_named(problem, table):
    class Deaf(Climber):
        def tell(self, outcomes):
            raise ValueError("deaf")

    executor = TableExecutor(table)
    with pytest.raises(TuningError, match="tell of the sampler Deaf failed: ValueError: deaf"):
        search({"d": Deaf(problem.grid, 6, 0)}, executor, Memory(), executor.packer)


def test_a_table_passes_over_what_it_does_not_have(problem, table):
    part = {index: outcome for index, outcome in table.items() if index % 3 == 0}
    executor, memory = TableExecutor(part), Memory()
    sampler = OnTable(SweepSampler(problem.grid), part, 4)
    search({"s": sampler}, executor, memory, executor.packer)
    assert [trial.index for trial in order_of(memory, "s")] == [0, 3, 6, 9]


def test_a_long_sweep_is_planned_by_halves(problem, table):
    """So that its packs stay large, which a trial or two at a time would not make."""
    planned = []

    class Counting(Packer):
        def split(self, trials):
            packs = super().split(trials)
            planned.append(len(packs))
            return packs

    executor = TableExecutor(table)
    packer = Counting(executor.packer.packing, 1, 1)
    search({"s": SweepSampler(problem.grid, 0, 20)}, executor, Memory(), packer, horizon=8)
    assert planned == [8, 4, 4, 4]


def test_a_local_executor_leaves_random_numbers_alone(problem):
    import random

    import keras
    import numpy as np

    def drawn():
        return random.random(), np.random.rand(), float(keras.random.uniform(()))

    executor = LocalExecutor(problem, Job(0, "jax"), engine="fit")
    name = keras.layers.Dense(1).name
    keras.utils.set_random_seed(5)
    expected = drawn()
    keras.utils.set_random_seed(5)
    executor.load(load_data(problem))
    executor.probe()
    list(train_all(executor, executor.packer.split([trial_at(problem.grid, 0, 0, 0)])))
    assert drawn() == expected
    stem, _, number = name.partition("_")
    assert keras.layers.Dense(1).name == f"{stem}_{int(number or 0) + 1}"
