"""Processes are killed: the driver, workers, nodes; and told to end."""

import contextlib
import itertools
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.conftest import command
from tests.faults.conftest import SEARCH, check_best, run_again
from tests.integration.test_run_ray import children_of, start, wait_for_rows
from tuning import load_results
from tuning.execution.worker_process import NAME

pytestmark = pytest.mark.faults


def test_the_driver_is_killed_at_any_moment(tmp_path, faults, check, undisturbed, by):
    moments, runs = random.Random(0), itertools.count()
    out = tmp_path / f"run {next(runs)}"
    counted, killed = 0, 0
    while killed < faults:
        process = start(*SEARCH, "--out", out, by=by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(1, 11))
        if process.poll() is None:
            process.kill()
            killed += 1
        process.communicate()
        if (out / "manifest.json").exists():
            before, counted = counted, len(load_results(out))
            assert counted >= before
            if counted:
                check_best(out, settled=False)
            if counted == len(load_results(undisturbed)):
                check(out)
                out = tmp_path / f"run {next(runs)}"
                counted = 0
    if not (out / "manifest.json").exists():
        assert not out.exists()  # no half-made run
        subprocess.run(command(*by, *SEARCH, "--out", out), check=True)
    done = run_again(out, by)
    assert done.returncode == 0, done.stderr
    if counted:
        assert f"{counted} trials are counted" in done.stdout
    check(out)


def workers_of(process) -> list[psutil.Process]:
    found = []
    for child in children_of(process):
        with contextlib.suppress(psutil.Error):
            name = child.name()
            if name == NAME or (name.startswith("ray::") and "train" in name):
                found.append(child)
    return found


def test_workers_are_killed_again_and_again(tmp_path, faults, check, by):
    moments, runs = random.Random(1), itertools.count()
    killed = 0
    while killed < faults:
        out = tmp_path / f"run {next(runs)}"
        process = start(*SEARCH, "--out", out, by=by)
        while process.poll() is None and killed < faults:
            time.sleep(moments.uniform(0.2, 4))
            if workers := workers_of(process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    moments.choice(workers).kill()
                    killed += 1
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        check(out)


def test_a_node_of_the_cluster_is_killed(tmp_path, faults, check):
    from ray.cluster_utils import Cluster

    for i in range(faults):
        out = tmp_path / f"run {i}"
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            lost = cluster.add_node(num_cpus=2)
            process = start(*SEARCH, "--out", out, "--address", cluster.address)
            wait_for_rows(out, 10, process)
            cluster.remove_node(lost, allow_graceful=False)
            said, errors = process.communicate(timeout=200)
            assert process.returncode == 0, errors
            assert "on 3 workers" in said
        finally:
            cluster.shutdown()
        check(out)


def test_sigterm_ends_it_with_the_command_that_goes_on(tmp_path, faults, check, by):
    """As a batch scheduler sends it: some to the first process, some to all of a job."""
    for i in range(faults):
        out = tmp_path / f"run {i}"
        process = start(*SEARCH, "--out", out, by=by)
        wait_for_rows(out, 10, process)
        if i % 2 == 0:  # all of a job; or its first process
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.terminate()
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 143, errors
        assert "Traceback" not in errors
        counted = len(load_results(out))
        assert f"Stopped. {counted} trials are counted; go on with" in errors
        go_on = shlex.split(re.search(r"go on with\n +\S*python\S* (.*)", errors)[1])
        done = subprocess.run([sys.executable, *go_on], capture_output=True, text=True, check=True)
        assert f"{counted} trials are counted" in done.stdout
        check(out)
