"""The disk fills, the object store fills, the clock jumps, a second driver comes."""

import os
import random
import re
import shutil
import subprocess
import sys
import time

import pytest

from tests.conftest import command
from tests.faults.conftest import SEARCH, run_again, standing_still
from tests.integration.test_run_ray import start, wait_for_rows
from tuning import load_results

pytestmark = pytest.mark.faults

FILL_STORE = """
import sys, time
import numpy as np, ray
ray.init(address=sys.argv[1], log_to_driver=False)
held = [ray.put(np.random.default_rng(i).random(10**6)) for i in range(30)]
print("full", flush=True)
time.sleep(600)
"""

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);

static int told(clockid_t clock, struct timespec *now) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *at = getenv("CLOCK_JUMPS_AT");
    if (clock == CLOCK_REALTIME && at && now->tv_sec >= atol(at)) now->tv_sec -= 7200;
    return result;
}
int clock_gettime(clockid_t clock, struct timespec *now) { return told(clock, now); }
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec spec;
    int result = told(CLOCK_REALTIME, &spec);
    now->tv_sec = spec.tv_sec;
    now->tv_usec = spec.tv_nsec / 1000;
    return result;
}
time_t time(time_t *now) {
    struct timespec spec;
    told(CLOCK_REALTIME, &spec);
    if (now) *now = spec.tv_sec;
    return spec.tv_sec;
}
"""


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 160 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_the_disk_fills_and_has_room_again(small_disk, faults, check):
    moments = random.Random(2)
    for i in range(faults):
        filler, out = small_disk / "filler", small_disk / "run"
        # From no more than manifest and lock to all but a second model beside the first.
        room = moments.randrange(3, 13) * 4096
        filler.write_bytes(bytes(160 * 1024 - 4096 - room))
        process = start(*SEARCH, "--out", out)
        _, errors = process.communicate(timeout=200)
        if (out / "manifest.json").exists():
            assert process.returncode == 1, errors
            counted = len(load_results(out))
            assert f"Stopped. {counted} trials are counted; go on with" in errors
            assert re.search(r"\.(csv|keras|json): the disk is full", errors.splitlines()[-1])
        else:
            counted = 0
            assert process.returncode == 2
            assert not out.exists()
        filler.unlink()
        done = subprocess.run(
            command("run_ray.py", *SEARCH, "--out", out), capture_output=True, text=True, check=True
        )
        assert not counted or f"{counted} trials are counted" in done.stdout
        check(out)
        kept = small_disk.parent / f"run {i}"
        shutil.copytree(out, kept)
        shutil.rmtree(out)


def test_the_object_store_is_full(tmp_path, faults, check):
    from ray.cluster_utils import Cluster

    for i in range(faults):
        node = {"num_cpus": 2, "object_store_memory": 80 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            filling = subprocess.Popen(
                [sys.executable, "-c", FILL_STORE, cluster.address],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert filling.stdout.readline() == b"full\n"
            out = tmp_path / f"run {i}"
            process = start(*SEARCH, "--out", out, "--address", cluster.address)
            _, errors = process.communicate(timeout=200)
            assert process.returncode == 0, errors
        finally:
            filling.kill()
            filling.communicate()
            cluster.shutdown()
        check(out)


def test_the_clock_jumps_back(tmp_path, faults, check):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or sys.platform != "linux":
        pytest.skip("there is no C compiler to make a clock with")
    (tmp_path / "clock.c").write_text(CLOCK)
    shim = tmp_path / "clock.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", shim, tmp_path / "clock.c", "-ldl"], check=True
    )
    moments = random.Random(3)
    for i in range(faults):
        out = tmp_path / f"run {i}"
        at = int(time.time() + moments.uniform(5, 14))
        jumps = {"LD_PRELOAD": str(shim), "CLOCK_JUMPS_AT": str(at)}
        done = subprocess.run(
            command("run_ray.py", *SEARCH, "--out", out),
            env={**os.environ, **jumps},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        check(out)


def test_a_second_driver_is_refused_while_the_first_lives(tmp_path, faults, check):
    for i in range(faults):
        out = tmp_path / f"run {i}"
        first = start(*SEARCH, "--out", out)
        wait_for_rows(out, 10, first)
        with standing_still(first):  # or it might end meanwhile
            second = run_again(out)
            assert second.returncode == 2
            assert f"is being written by process {first.pid} on " in second.stderr
            assert second.stderr.count("\n") == 1
            first.kill()
        first.communicate()
        third = run_again(out)
        assert third.returncode == 0, third.stderr
        assert f"Taking over from process {first.pid} on " in third.stdout
        check(out)
