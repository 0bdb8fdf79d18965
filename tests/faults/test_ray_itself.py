"""Ray's own processes die, the machine sleeps, and all of it again and again."""

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
from tests.faults.conftest import SEARCH, check_best, standing_still
from tests.integration.test_run_ray import children_of, start, wait_for_rows
from tuning import load_results

pytestmark = pytest.mark.faults

PARTS = {
    "gcs_server": "Ray's GCS server died",
    "raylet": "Ray's raylet died",
    "DashboardAgent": "Ray's dashboard agent died",
    "RuntimeEnvAgent": "Ray's runtime environment agent died",
    "driver": "its driver was ended by SIGKILL",
}
ROWS = {"at its start": 0, "in the middle": 10, "near the end": 50}


def processes_of(process, name: str) -> list[psutil.Process]:
    """Those of a command that are called so; its driver is its only child."""
    if name == "driver":
        return psutil.Process(process.pid).children()
    found = []
    for child in children_of(process):
        with contextlib.suppress(psutil.Error):
            if name in child.name():
                found.append(child)
    return found


def wait_for(process, name: str) -> list[psutil.Process]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if found := processes_of(process, name):
            return found
        time.sleep(0.01)
    raise AssertionError(f"{name} did not come")


def check_last_words(out, code: int, errors: str, says: str) -> list[str]:
    """It ended in a sentence after what is counted and the command that goes on, which it returns.

    Before the first trial there is no such command.
    """
    lines = errors.splitlines()
    assert code == 1, errors
    assert lines[-1].startswith(f"run_ray.py: {says}"), errors
    assert "Traceback" not in errors
    assert errors.count("Stopped") == 1, errors
    if not (out / "manifest.json").exists():
        assert lines[-2] == "Stopped before the first trial; nothing was written."
        assert not out.exists()
        return command("run_ray.py", *SEARCH, "--out", out)
    counted = len(load_results(out))
    assert lines[-3] == f"Stopped. {counted} trials are counted; go on with"
    if counted:
        check_best(out, settled=False)
    return [sys.executable, *shlex.split(re.sub(r"^ +\S*python\S* ", "", lines[-2]))]


def go_on(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Taking over" not in done.stdout  # the last words let the run go


@pytest.mark.parametrize("part", PARTS)
def test_a_process_that_all_depends_on_is_killed(part, tmp_path, faults, check):
    for i in range(faults):
        moment = list(ROWS)[(list(PARTS).index(part) + i) % len(ROWS)]
        out = tmp_path / f"run {i}"
        process = start(*SEARCH, "--out", out)
        if ROWS[moment]:
            wait_for_rows(out, ROWS[moment], process)
        for one in wait_for(process, part):
            one.kill()
        _, errors = process.communicate(timeout=60)
        if process.returncode or moment != "near the end":  # or it was over just before
            go_on(check_last_words(out, process.returncode, errors, PARTS[part]))
        check(out)


@pytest.mark.parametrize("part", ["gcs_server", "raylet"])
def test_the_head_of_a_joined_cluster_dies(part, tmp_path, faults, check, monkeypatch):
    from ray.cluster_utils import Cluster

    # How long a driver tries to reach the head again: a minute unless told.
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
    for i in range(faults):
        engine = ("fit", "auto")[i % 2]
        own = (*SEARCH, "--engine", engine, "--backend", "jax")
        out = tmp_path / f"run {i}"
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        try:
            process = start(*own, "--out", out, "--address", cluster.address)
            wait_for_rows(out, 3, process)
            for node_part in cluster.head_node.all_processes[part]:
                node_part.process.kill()
            _, errors = process.communicate(timeout=120)
        finally:
            cluster.shutdown()
        assert errors.count("\n") == 3, errors  # and nothing of Ray's own
        assert "--address" in check_last_words(out, process.returncode, errors, "Ray")
        assert (load_results(out)["status"] == "ok").all()
        go_on(command("run_ray.py", "--out", out))
        if engine == "auto":
            check(out)
        else:
            table = load_results(out)
            assert table["trial"].tolist() == list(range(72))
            assert (table["status"] == "ok").all()


def sleep(process, seconds: float) -> None:
    """All processes of a command stand still for a while, as when their machine sleeps."""
    with standing_still(process):
        time.sleep(seconds)


def test_the_machine_sleeps(tmp_path, faults, check):
    for i in range(faults):
        out = tmp_path / f"run {i}"
        process = start(*SEARCH, "--out", out)
        wait_for_rows(out, 10, process)
        sleep(process, (5, 60)[i % 2])
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        check(out)


def test_fault_upon_fault(tmp_path, faults, check, undisturbed):
    """Five times as many faults, of all kinds, at any moment of runs that are gone on with.

    A signal may also come while the command, having had its last word, ends for another fault.
    """
    wanted = 5 * faults
    chance, runs = random.Random(wanted), itertools.count()
    workers = ["RayWorker.train", "RayWorker.probe"]
    kinds = ["command", *PARTS, *workers, "Ctrl-C", "SIGTERM", "SIGTERM to all", "sleep"]
    out = tmp_path / f"run {next(runs)}"
    injected, counted = 0, 0
    whole = len(load_results(undisturbed))
    while injected < wanted or counted:
        process = start(*SEARCH, "--out", out)
        while injected < wanted:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0.5, 12))
            if process.poll() is not None:
                break
            kind = chance.choice(kinds)
            print(f"fault {injected + 1}: {kind} with {counted} trials counted before", flush=True)
            injected += inject(kind, process, chance)
        _, errors = process.communicate(timeout=200)
        assert "Traceback" not in errors, errors
        ended_by = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}
        assert process.returncode in {0, 1, 130, 143} | ended_by, errors
        if not (out / "manifest.json").exists():
            assert process.returncode
            assert not out.exists()
            continue
        before, counted = counted, len(load_results(out))
        assert counted >= before
        if counted:
            check_best(out, settled=False)
        if process.returncode > 0:
            assert errors.count(f"Stopped. {counted} trials are counted; go on with") == 1, errors
        if counted == whole and process.returncode == 0:
            check(out)
            out, counted = tmp_path / f"run {next(runs)}", 0
        elif process.returncode == 0:
            raise AssertionError(f"it ended with {counted} of {whole} trials")


def inject(kind: str, process, chance: random.Random) -> bool:
    """Have a fault happen; return whether there was what it happens to."""
    if kind == "command":
        process.kill()
    elif kind == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    elif kind == "SIGTERM":
        process.terminate()
    elif kind == "SIGTERM to all":
        os.killpg(process.pid, signal.SIGTERM)
    elif kind == "sleep":
        sleep(process, 3)
    else:
        with contextlib.suppress(psutil.NoSuchProcess):
            found = processes_of(process, kind)
            if found:
                chance.choice(found).kill()
                return True
        return False
    return True
