"""The Ray executor on a real local Ray of two workers."""

import dataclasses
import gc
import os
import time

import pytest
import ray

from tests.conftest import PROBLEMS, TINY, fit
from tuning.errors import RunStopped
from tuning.execution.cluster import ray_cluster
from tuning.execution.limits import Limits
from tuning.execution.loop import Progress, search, train_all
from tuning.execution.ray import RayExecutor
from tuning.execution.supervisor import AGENTS, PROGRAMS, _parts_of_ray
from tuning.execution.threads import CAN_PIN, one_cpu
from tuning.execution.worker import Job, prepare
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.runs.manifest import make_manifest
from tuning.runs.run import Run
from tuning.runs.table import load_results
from tuning.samplers import RandomSampler, SweepSampler, trial_at


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("markers")
    os.environ["TUNING_TEST_FOLDER"] = str(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))  # where CPUs' locks are: not those of other tests
        with ray_cluster(workers=2) as cluster:
            yield cluster


@pytest.fixture(autouse=True)
def closed():
    """Ends the workers of a test's executors, which have CPUs for themselves."""
    yield
    while made:
        made.pop().close()


made: list[RayExecutor] = []


def executor_of(path, cluster, engine="fit", limits=None):
    problem = load_problem(str(path))
    backend = "tensorflow" if engine == "fit" else "jax"
    job = Job(0, backend, limits=limits or Limits())
    executor = RayExecutor(problem, job, engine=engine, cluster=cluster)
    made.append(executor)
    executor.load(load_data(problem))
    return problem, executor


def trained(executor, problem, *indices):
    """The outcomes of grid points, in their order."""
    trials = [trial_at(problem.grid, index, number, 0) for number, index in enumerate(indices)]
    reports = train_all(executor, executor.packer.split(trials))
    outcomes = [outcome for report in reports for outcome in report.outcomes]
    return sorted(outcomes, key=lambda outcome: outcome.trial.number)


def new_run(path, problem, engine="fit", backend="tensorflow"):
    fingerprint = {"code": "", "model": "", "data": ""}
    return Run.create(
        path,
        make_manifest(
            problem,
            fingerprint,
            ["loss", "accuracy"],
            better=("max", "keras.metrics.BinaryAccuracy"),
            seed=0,
            engine=engine,
            backend=backend,
            strategies={"sweep": {"points": "all", "order": "grid"}},
        ),
    )


def test_a_worker_has_one_thread_in_every_library(cluster):
    _, executor = executor_of(TINY, cluster)
    report = executor.thread_report()
    assert report["tensorflow"] == (1, 1)
    assert any(name.startswith("blas") for name in report["pools"])
    assert any(name.startswith("openmp") for name in report["pools"])
    assert set(report["pools"].values()) == {1}
    if CAN_PIN:
        assert len(report["cpus"]) == 1


def test_a_worker_that_would_give_other_numbers_stops_the_run_and_costs_no_trial(cluster, tmp_path):
    problem, executor = executor_of(TINY, cluster)
    known = executor.probe().environment
    executor._job = dataclasses.replace(executor._job, environment={**known, "TF_XLA_FLAGS": "x"})
    with (
        new_run(tmp_path / "r", problem) as run,
        pytest.raises(RunStopped, match="its TF_XLA_FLAGS is x, not unset"),
    ):
        search({"sweep": SweepSampler(problem.grid)}, executor, run, executor.packer)
    assert load_results(tmp_path / "r").empty


@pytest.mark.skipif(not CAN_PIN, reason="the platform cannot pin a process to a CPU")
def test_busy_workers_never_share_a_cpu_while_another_is_idle(cluster):
    @ray.remote(num_cpus=1)
    def hold():
        with one_cpu() as cpu:
            begun = time.time()
            time.sleep(0.5)
            return cpu, os.sched_getaffinity(0), begun, time.time()

    held = ray.get([hold.remote() for _ in range(8)])
    assert all(cpu is not None and affinity == {cpu} for cpu, affinity, _, _ in held)
    at_once = 0
    for i, (cpu, _, begun, ended) in enumerate(held):
        for other, _, other_begun, other_ended in held[i + 1 :]:
            if begun < other_ended and other_begun < ended:
                at_once += 1
                assert cpu != other
    assert at_once


@pytest.mark.slow
def test_trouble_costs_its_trial_and_never_the_run(cluster, tmp_path):
    problem, executor = executor_of(PROBLEMS / "troubled.py", cluster)
    with new_run(tmp_path / "r", problem) as run:
        search({"sweep": SweepSampler(problem.grid)}, executor, run, executor.packer)
    table = load_results(tmp_path / "r").set_index("trouble")
    assert table["status"].to_dict() == {
        "none": "ok",
        "raises": "failed",
        "diverges": "diverged",
        "exits": "failed",
        "dies once": "ok",
    }
    assert table.loc["raises", "error"] == "ValueError: two lines"
    assert table.loc["exits", "error"] == "its worker process died, 3 times"
    assert table.loc["dies once", "val_loss"] == table.loc["none", "val_loss"]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system cannot tell of an end")
def test_the_processes_that_a_search_depends_on_are_known(cluster):
    """Ray does not document their names: this is where a version that has others shows."""
    found = dict(_parts_of_ray(os.getpid(), set()))
    for part in found:
        os.close(part)
    known = [*PROGRAMS.values(), *AGENTS.values()]
    assert sorted(found.values()) == sorted(known), "Ray starts its processes under other names"


def test_no_trial_fails_because_ray_does(cluster):
    _, executor = executor_of(TINY, cluster)

    def reports():
        raise ray.exceptions.LocalRayletDiedError
        yield

    with pytest.raises(ray.exceptions.LocalRayletDiedError):
        executor._read(reports())


@pytest.mark.slow
def test_a_task_monitor_that_dies_costs_no_trial(cluster):
    problem, executor = executor_of(TINY, cluster, limits=Limits(seconds=300))
    ray.kill(executor._monitor)
    assert [each.status for each in trained(executor, problem, 0, 1, 9)] == ["ok"] * 3


@pytest.mark.slow
def test_rows_are_the_same_in_any_order_and_on_any_worker(cluster):
    problem, executor = executor_of(TINY, cluster)
    first = trained(executor, problem, 31, 0, 13, 22)
    again = trained(executor, problem, 22, 13, 0, 31)
    assert len({outcome.worker for outcome in (*first, *again)}) == 2
    assert {outcome.backend for outcome in first} == {"tensorflow"}
    for outcome, same in zip(first, reversed(again), strict=True):
        assert (outcome.trial.index, outcome.metrics) == (same.trial.index, same.metrics)


def test_a_worker_on_tensorflow_keeps_nothing_of_the_models_it_trained(cluster):
    problem = load_problem(str(TINY))
    data = load_data(problem)

    @ray.remote(num_cpus=1)
    def grown():
        with one_cpu():
            prepare("tensorflow")
            counts = []
            for trial in range(6):
                fit(problem, data, trial, seed=0)
                gc.collect()
                counts.append(len(gc.get_objects()))
            return counts[-1] - counts[2]

    assert ray.get(grown.remote()) < 500  # a model left behind is over 8,000


def test_a_trial_two_strategies_want_is_trained_once(cluster, tmp_path):
    problem, executor = executor_of(TINY, cluster)
    trained = []

    class Counting(Progress):
        def trained(self, pack, report, counted):
            trained.extend(report.outcomes)

    with new_run(tmp_path / "r", problem) as run:
        random = RandomSampler(problem.grid, 3, seed=0)
        first = RandomSampler(problem.grid, 1, seed=0).ask(1)[0].index
        sweep = SweepSampler(problem.grid, first, first + 1)
        search({"random": random, "sweep": sweep}, executor, run, executor.packer, Counting())
        assert len(trained) == 3
        wider = SweepSampler(problem.grid, first - 1, first + 1)
        again = RandomSampler(problem.grid, 3, seed=0)
        search({"random": again, "wider": wider}, executor, run, executor.packer, Counting())
    assert len(trained) == 4
    table = load_results(tmp_path / "r")
    assert table.groupby("strategy").size().to_dict() == {"random": 3, "sweep": 1, "wider": 2}
    assert table.groupby("index")["finished_at"].nunique().max() == 1
