"""A Ray of our own and one that is joined: who listens, what workers lack, and shards."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.conftest import TINY, command, packing_of
from tests.integration.test_run_ray import UNTIMED, children_of, start, wait_for_rows
from tuning import TuningError, load_results
from tuning.execution import cluster
from tuning.packing.axes import shard_position
from tuning.runs.manifest import read_manifest
from tuning.samplers import RandomSampler, Shard

SHADOW = "raise ModuleNotFoundError(\"No module named '{0}'\", name='{0}')\n"


@pytest.mark.slow
def test_nothing_listens_beyond_this_machine_or_runs_that_nobody_uses(tmp_path):
    process = start("--problem", TINY, "--random", 0, "--sweep", "all", "--out", tmp_path / "r")
    wait_for_rows(tmp_path / "r", 1, process)
    listening, programs = set(), set()
    for one in [psutil.Process(process.pid), *children_of(process)]:
        try:
            found = one.net_connections()
            programs |= {Path(word).name for word in one.cmdline()}
        except psutil.Error:
            continue
        listening |= {connection.laddr.ip for connection in found if connection.status == "LISTEN"}
    assert process.wait(timeout=120) == 0
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert "raylet" in programs
    assert not programs & {"monitor.py", "dashboard.py", "log_monitor.py"}


@pytest.fixture
def bare_cluster(tmp_path, monkeypatch):
    """A cluster of two nodes, of one CPU and of two, whose workers find other packages first."""

    def start_one(missing: str):
        from ray.cluster_utils import Cluster

        (tmp_path / "first" / missing).mkdir(parents=True)
        (tmp_path / "first" / missing / "__init__.py").write_text(SHADOW.format(missing))
        with monkeypatch.context() as patched:
            patched.setenv("PYTHONPATH", str(tmp_path / "first"))
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
            cluster.add_node(num_cpus=2)
        clusters.append(cluster)
        return cluster.address

    clusters: list = []
    yield start_one
    for each in clusters:
        each.shutdown()


@pytest.mark.slow
def test_workers_without_the_project_are_given_it(bare_cluster, run):
    address = bare_cluster("tuning")
    done = run(
        "run_ray.py", "--problem", TINY, "--random", 0, "--sweep", 4, "--out", "r",
        "--address", address,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "on 3 workers" in done.stdout
    assert load_results("r")["status"].tolist() == ["ok"] * 4


@pytest.mark.slow
def test_workers_without_what_the_project_needs_are_told_of(bare_cluster, run, tmp_path):
    address = bare_cluster("keras")
    done = run("run_ray.py", "--problem", TINY, "--out", "r", "--address", address)
    assert done.returncode == 2
    assert "a worker lacks the package 'keras', which has to be on every node" in done.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_two_shards_are_the_whole_search(tmp_path, run):
    search = ("--problem", TINY, "--random", 3, "--sweep", "0:12")
    shards = [start(*search, "--shard", f"{k}/2", "--out", "shards") for k in (1, 2)]
    for process in shards:
        assert process.wait(timeout=200) == 0, process.communicate()
    said = "".join(process.communicate()[0] for process in shards)
    assert "training shard 1/2 (" in said
    kinds = packing_of(TINY)[1].kinds
    for k in (1, 2):  # what it is by stays as it was, whatever a library finds later
        assert read_manifest(f"shards/shard-{k}-of-2").packing == kinds
    merged = run("merge.py", "shards", "merged")
    assert merged.returncode == 0, merged.stderr
    assert "missing" not in merged.stdout
    subprocess.run(
        command("run_ray.py", *search, "--out", "whole"), check=True, capture_output=True
    )
    pd.testing.assert_frame_equal(
        load_results("merged").drop(columns=UNTIMED),
        load_results("whole").drop(columns=UNTIMED),
        rtol=1e-4,
    )
    assert sorted(os.listdir("shards")) == ["shard-1-of-2", "shard-2-of-2"]


def test_a_shard_with_nothing_to_train_says_so(run, worker):
    problem, packing = packing_of(TINY)
    (trial,) = RandomSampler(problem.grid, 1, seed=0).ask(1)
    at = shard_position(problem.grid, trial.index, packing.kinds)
    shard = next(k for k in (1, 2) if not Shard(k, 2).has(*at))
    done = run(
        "run_ray.py", "--problem", TINY, "--random", 1, "--sweep", 0, "--shard", f"{shard}/2",
        "--out", "shards",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"Shard {shard}/2 has none of the search's trials." in done.stdout


@pytest.mark.parametrize(
    ("named", "usable", "own"),
    [(25, True, True), (90, True, False), (120, True, False), (200, True, False),
     (25, False, False), (120, False, False)],
)  # fmt: skip
def test_ray_has_a_folder_whose_path_is_short(named, usable, own, tmp_path, monkeypatch):
    short = Path(tempfile.mkdtemp(dir="/tmp"))
    temporary = short / ("t" * max(1, named - len(str(short)) - 1))
    temporary.mkdir() if usable else temporary.touch()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)  # which it keeps
    folder = cluster._folder()
    shutil.rmtree(short)
    assert (folder == temporary / "ray") == own
    assert (
        len(str(folder / "session_2026-11-26_11-05-07_674199_4194304/sockets/plasma_store")) < 104
    )


def test_ray_without_such_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("t" * 100)))
    monkeypatch.setattr(cluster, "SHORT_FOLDERS", (tmp_path / "nowhere",))
    with pytest.raises(TuningError, match="longer than 40 bytes: set TMPDIR to a shorter one"):
        cluster._folder()


def test_a_path_that_only_a_client_reaches_is_refused(run, tmp_path):
    done = run("run_ray.py", "--problem", TINY, "--out", "s3://bucket/run")
    assert done.returncode == 2
    assert "s3://bucket/run is not a path" in done.stderr
    assert not list(tmp_path.iterdir())
