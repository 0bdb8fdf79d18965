"""Workers that are kept on a real local Ray: which one trains what, and what it goes on from."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray

from tests.conftest import TINY
from tuning.engines.reports import Report
from tuning.execution import ray as ray_module
from tuning.execution import slots, worker
from tuning.execution.cluster import Cluster, ray_cluster
from tuning.execution.loop import train_all
from tuning.execution.ray import RayExecutor
from tuning.execution.slots import States
from tuning.execution.worker import Job, KeptWorker, StateSize
from tuning.packing.axes import Axis, Packing
from tuning.packing.packs import Pack, Work
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.trial import Outcome, Paused, Trial

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it

SIZE = 50_000  # large enough for the object store
PACKING = Packing({"width": Axis("structural", "its shape"), "epochs": Axis("fidelity", "")})


def trains(problem, data, trials, job, keep=None, *, going_on=None, pauses=False, seconds=None):
    """Trains nothing: tells from which epoch it would go on, and pauses there."""
    outcomes, paused = [], {}
    for trial in trials:
        if (pause := trial.configuration.get("pause")) is not None:
            Path(pause).write_text(str(os.getpid()))
            time.sleep(trial.configuration.get("seconds", 600))
        training = job.packing.trajectory_of(trial)
        known = (going_on or {}).get(training)
        begun = 0 if known is None else known.epochs
        if known is not None:
            (found,) = known.variables
            assert found.shape == (SIZE,)
            assert (found == begun).all()
        metrics = {"begun": float(begun), "seconds": -1.0 if seconds is None else seconds}
        status = "ok" if trial.epochs == trial.meant else "stopped"
        outcomes.append(Outcome(trial, status, "none", "jax", metrics))
        if pauses:
            variables = [np.full(SIZE, trial.epochs, "float32")]
            paused[training] = Paused(trial.epochs, variables, [], [])
    yield Report(outcomes)
    if pauses:
        yield Report(paused=paused)


def lost(training):
    raise ray.exceptions.ObjectLostError("", None, "")


@pytest.fixture(scope="module")
def own_ray():
    with ray_cluster(workers=2):
        yield


@pytest.fixture
def executor(own_ray, monkeypatch):
    class Trained(KeptWorker):
        def train(self, *what, **options):
            worker.train_prepared = trains
            yield from super().train(*what, **options)

    monkeypatch.setattr(ray_module, "_Worker", ray.remote(num_cpus=1)(Trained))
    problem = load_problem(str(TINY))
    job = Job(0, "jax", packing=PACKING)
    made = RayExecutor(problem, job, engine="auto", cluster=Cluster(2, 8))
    made.load(load_data(problem))
    made.thread_report()
    yield made
    made.close()


def trial(number, width=8, epochs=12, since=0, **more):
    return Trial(number, {"width": width, "epochs": 12, **more}, 0, epochs, since=since)


def pack(*trials, pauses=False):
    program = PACKING.program({"width": trials[0].configuration["width"]})
    return Pack(list(trials), Work(1, 1), pauses=pauses, program=program)


@pytest.fixture
def own_packing(executor):
    """Every axis that a test's trials have."""
    axes = {**PACKING.axes, "pause": Axis("lifted", ""), "seconds": Axis("lifted", "")}
    executor._job = replace(executor._job, packing=Packing(axes))


def outcomes_of(executor, *packs):
    reports = train_all(executor, packs)
    return {each.trial.number: each for report in reports for each in report.outcomes}


def until(what):
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def both_ready(executor):
    while not all(slot.ready for slot in executor._slots):
        for slot in executor._slots:
            if slot.pending is not None and executor._wait([slot.pending], 1):
                executor._came(slot)


def test_a_pack_goes_to_the_worker_that_had_its_program(executor):
    both_ready(executor)
    workers = {}
    for number in range(12):
        width = (8, 16)[number // 2 % 2]
        outcome = outcomes_of(executor, pack(trial(number, width)))[number]
        workers.setdefault(width, set()).add(outcome.worker)
    assert len(workers[8]) == len(workers[16]) == 1
    assert workers[8] != workers[16]


@pytest.mark.usefixtures("own_packing")
def test_an_idle_worker_gives_back_its_cpu_and_another_is_started(executor, monkeypatch, tmp_path):
    monkeypatch.setattr(slots, "IDLE_SECONDS", 0.5)
    both_ready(executor)
    waits = [trial(0, pause=str(tmp_path / "a"), seconds=4)]
    assert outcomes_of(executor, pack(*waits))[0].status == "ok"
    assert [slot.process is None for slot in executor._slots].count(True) == 1
    until(lambda: ray.available_resources().get("CPU", 0) == 1)
    long = {"pause": str(tmp_path / "b"), "seconds": 15}
    found = outcomes_of(executor, pack(trial(1, **long)), pack(trial(2, 16)))
    assert found[1].worker != found[2].worker
    executor._gives_back = False
    executor._start_all()
    both_ready(executor)
    outcomes_of(executor, pack(trial(3, pause=str(tmp_path / "c"), seconds=2)))
    assert all(slot.ready for slot in executor._slots)


def test_a_training_goes_on_from_its_state_on_any_worker(executor):
    both_ready(executor)
    outcomes_of(executor, pack(trial(0, epochs=1), trial(1, 16, epochs=1), pauses=True))
    assert len(executor.states) == 2
    assert all(isinstance(state, ray.ObjectRef) for _, state in executor.states._states.values())
    trained_by = next(slot for slot in executor._slots if slot.programs)
    executor._empty(trained_by)  # its worker has ended; what it stored has not
    on = outcomes_of(executor, pack(trial(2, epochs=4, since=1), pauses=True))[2]
    assert (on.status, on.metrics["begun"]) == ("stopped", 1)
    assert len(executor.states) == 2
    last = outcomes_of(executor, pack(trial(3, since=4)), pack(trial(4, 16, since=1)))
    assert [last[3].metrics["begun"], last[4].metrics["begun"]] == [4, 1]
    assert len(executor.states) == 0  # they have ended


def test_a_training_that_does_not_go_on_or_was_lost_begins_anew(executor):
    outcomes_of(executor, pack(trial(0, epochs=4), trial(1, 16, epochs=4), pauses=True))
    assert outcomes_of(executor, pack(trial(2, epochs=4)))[2].metrics["begun"] == 0
    earlier = outcomes_of(executor, pack(trial(3, epochs=2, since=1)))[3]
    assert earlier.metrics["begun"] == 0  # than the state that is there
    for training, (size, _) in [*executor.states._states.items()]:
        executor.states.remember(size, ray.remote(num_cpus=0)(lost).remote(training))
    assert outcomes_of(executor, pack(trial(4, 16, since=4)))[4].metrics["begun"] == 0


def test_states_take_no_more_than_so_many_bytes():
    states = States(most=100)
    for i in range(5):
        states.remember(StateSize(("training", i), 1, 40), i)
    assert len(states) == 2
    states.remember(StateSize(("training", 4), 4, 90), "later")
    assert len(states) == 1
    trials = [trial(i, ("training", i)[1], since=1) for i in range(5)]
    packing = type("Named", (), {"trajectory_of": lambda _, t: ("training", t.number)})()
    assert states.of(pack(*trials), packing) == {("training", 4): "later"}
    states.remember(StateSize(("training", 5), 1, 1000), "too large")
    assert len(states) == 0


@pytest.mark.usefixtures("own_packing")
def test_what_is_cancelled_comes_to_nothing_and_others_train_after_it(executor, tmp_path):
    for i in range(4):
        executor.submit(pack(trial(i, pause=str(tmp_path / f"begun {i}"))))
    until((tmp_path / "begun 0").exists)
    executor.cancel()
    assert not executor.busy
    assert executor.free == 8
    assert list(outcomes_of(executor, pack(trial(5, pause=None)))) == [5]


@pytest.mark.usefixtures("own_packing")
def test_after_a_time_no_pack_begins(executor, tmp_path):
    both_ready(executor)
    executor.stop_at(1.0)
    for i in range(4):
        executor.submit(pack(trial(i, pause=str(tmp_path / str(i)), seconds=3)))
    heard = []
    while executor.busy:
        heard += executor.hear()
    told = {each.trial.number: each for news in heard for each in news.report.outcomes}
    assert sorted(told) == [0, 1]
    assert all(0 < each.metrics["seconds"] <= 1 for each in told.values())
    assert sorted(each.pack.trials[0].number for each in heard if each.ended) == [0, 1, 2, 3]
    executor.stop_at(None)
    assert outcomes_of(executor, pack(trial(5, pause=None)))[5].metrics["seconds"] == -1


@pytest.mark.usefixtures("own_packing")
def test_only_what_trained_is_blamed_for_a_death(executor, tmp_path):
    """Quick packs are sent ahead; those that had not begun are trained elsewhere."""
    both_ready(executor)
    for slot in executor._slots:
        slot.quick = True
    for i in range(8):
        path = str(tmp_path / f"begun {i}") if i < 2 else None
        executor.submit(pack(trial(i, pause=path, seconds=2 if i else 600)))
    assert [len(slot.tasks) for slot in executor._slots] == [4, 4]
    until(lambda: (tmp_path / "begun 0").exists() and (tmp_path / "begun 0").read_text())
    psutil.Process(int((tmp_path / "begun 0").read_text())).kill()
    told, again = set(), []
    while len(told) < 7 or not again:
        for news in executor.hear():
            told |= {each.trial.number for each in news.report.outcomes}
            again += news.again
    assert told == set(range(1, 8))
    assert [(each.trials[0].number, each.deaths) for each in again] == [(0, 1)]


def test_a_worker_that_has_no_cpu_yet_is_given_no_pack(own_ray, executor):
    both_ready(executor)
    problem = executor._problem
    executor._empty(executor._slots[1])
    second = RayExecutor(problem, executor._job, engine="auto", cluster=Cluster(2, 8))
    try:
        second.load(load_data(problem))
        told = outcomes_of(second, *(pack(trial(i)) for i in range(4)))
        assert len({each.worker for each in told.values()}) == 1
        assert sorted(slot.ready for slot in second._slots) == [False, True]
    finally:
        second.close()
