"""The Ray executor on a real local Ray of two workers."""

import gc
import os
import time

import pytest
import ray

from tests.conftest import TINY, fit
from tests.integration.executors import executor_of, trained
from tuning.execution.cluster import ray_cluster
from tuning.execution.limits import Limits
from tuning.execution.supervisor import AGENTS, PROGRAMS, _parts_of_ray
from tuning.execution.threads import CAN_PIN, one_cpu
from tuning.execution.worker import prepare
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Where CPUs' locks are: not those of other tests.
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("locks")))
        with ray_cluster(workers=2) as cluster:
            yield cluster


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
