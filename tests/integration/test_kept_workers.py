"""Workers that are kept, of either kind: which one trains what, and what it goes on from."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import psutil
import pytest

from tests import idle
from tests.conftest import TINY
from tests.integration.executors import new_executor
from tuning.execution import processes, slots
from tuning.execution.limits import Limits
from tuning.execution.loop import train_all
from tuning.execution.slots import States
from tuning.execution.worker import Job, StateSize
from tuning.packing.axes import Axis, Packing
from tuning.packing.packs import Pack, Work
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.trial import Paused, Trial

PACKING = Packing({"width": Axis("structural", "its shape"), "epochs": Axis("fidelity", "")})
WIDER = Packing(
    {**PACKING.axes, **{name: Axis("lifted", "") for name in ("pause", "seconds", "eats")}}
)


def on_ray(monkeypatch):
    """Has Ray's workers train nothing."""
    import ray

    from tuning.execution import ray as module

    ray.cloudpickle.register_pickle_by_value(idle)  # workers cannot import it

    class Idle(module.RayWorker):
        def train(self, *what, **options):
            idle.install()
            yield from super().train(*what, **options)

    monkeypatch.setattr(module, "_Worker", ray.remote(num_cpus=1)(Idle))


@pytest.fixture
def new(cluster, monkeypatch):
    """Makes executors whose workers train nothing."""
    if cluster is None:
        installed = processes.PROGRAM.replace(
            "serve(", "from tests import idle; idle.install(); serve("
        )
        monkeypatch.setattr(processes, "PROGRAM", installed)
    else:
        on_ray(monkeypatch)

    def make(**options):
        problem = load_problem(str(TINY))
        executor = new_executor(problem, Job(0, "jax", packing=PACKING, **options), cluster)
        executor.load(load_data(problem))
        return executor

    return make


@pytest.fixture
def executor(new):
    executor = new()
    executor.thread_report()
    return executor


def trial(number, width=8, epochs=12, since=0, **more):
    return Trial(number, {"width": width, "epochs": 12, **more}, 0, epochs, since=since)


def pack(*trials, pauses=False):
    program = PACKING.program({"width": trials[0].configuration["width"]})
    return Pack(list(trials), Work(1, 1), pauses=pauses, program=program)


@pytest.fixture
def own_packing(executor):
    """Every axis that a test's trials have."""
    executor._job = replace(executor._job, packing=WIDER)


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


@pytest.mark.slow
@pytest.mark.usefixtures("own_packing")
def test_an_idle_worker_gives_back_its_cpu_and_another_is_started(
    executor, cluster, monkeypatch, tmp_path
):
    monkeypatch.setattr(slots, "IDLE_SECONDS", 0.5)
    executor._gives_back = True
    both_ready(executor)
    waits = [trial(0, pause=str(tmp_path / "a"), seconds=4)]
    assert outcomes_of(executor, pack(*waits))[0].status == "ok"
    assert [slot.process is None for slot in executor._slots].count(True) == 1
    if cluster is not None:
        import ray

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
    assert not any(isinstance(state, Paused) for _, state in executor.states._states.values())
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


@pytest.mark.parametrize("cluster", [pytest.param("ray", marks=pytest.mark.slow)], indirect=True)
def test_a_state_that_is_lost_with_its_node_begins_anew(executor):
    import ray

    def lost():
        raise ray.exceptions.ObjectLostError("", None, "")

    outcomes_of(executor, pack(trial(0, epochs=4), pauses=True))
    for size, _ in [*executor.states._states.values()]:
        executor.states.remember(size, ray.remote(num_cpus=0)(lost).remote())
    assert outcomes_of(executor, pack(trial(1, since=4)))[1].metrics["begun"] == 0


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


@pytest.mark.parametrize("cluster", [pytest.param("ray", marks=pytest.mark.slow)], indirect=True)
def test_a_worker_that_has_no_cpu_yet_is_given_no_pack(new, executor):
    both_ready(executor)
    executor._empty(executor._slots[1])
    second = new()
    told = outcomes_of(second, *(pack(trial(i)) for i in range(4)))
    assert len({each.worker for each in told.values()}) == 1
    assert sorted(slot.ready for slot in second._slots) == [False, True]


def test_what_takes_too_long_or_too_much_memory_costs_its_trial(new, tmp_path):
    executor = new(limits=Limits(seconds=3, memory=10**9))
    executor._job = replace(executor._job, packing=WIDER)
    hangs = trial(0, pause=str(tmp_path / "begun"), eats=False)
    told = outcomes_of(executor, pack(hangs), pack(trial(1, eats=True)), pack(trial(2)))
    assert [told[i].status for i in range(3)] == ["timeout", "failed", "ok"]
    assert told[0].error == "it took longer than the 3 s that a trial may take"
    assert 3 <= told[0].seconds < 60
    assert told[1].error.startswith("its worker took ")
    assert ", and may take " in told[1].error


@pytest.mark.parametrize("cluster", ["processes"], indirect=True)
@pytest.mark.usefixtures("own_packing")
def test_workers_of_two_searches_share_no_cpu(new, executor, tmp_path):
    """As far as there are CPUs: those beyond are held to none."""
    second = new()
    second._job = executor._job
    for each in (executor, second):
        both_ready(each)
        for i in range(2):
            each.submit(pack(trial(i, pause=str(tmp_path / f"{id(each)} {i}"), seconds=1)))
    told = []
    while executor.busy or second.busy:
        for each in (executor, second):
            news = each.hear() if each.busy else []
            told += [outcome.metrics for one in news for outcome in one.report.outcomes]
    held = [each for each in told if int(each["cpus"]).bit_count() == 1]
    assert len(told) == 4
    assert len(held) >= min(len(os.sched_getaffinity(0)), 4)
    for i, one in enumerate(held):
        for other in held[i + 1 :]:
            at_once = one["from"] < other["to"] and other["from"] < one["to"]
            assert not at_once or one["cpus"] != other["cpus"]
