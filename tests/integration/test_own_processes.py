"""Worker processes of our own: they end with their driver, and what they say of it."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.api.test_public import SCRIPT, SEARCH, python
from tests.conftest import TINY, changed, command
from tests.integration.executors import executor_of, pids_of
from tests.integration.test_run_ray import UNTIMED, children_of, wait_for_rows
from tuning import TuningError, load_problem, load_results
from tuning.execution import processes, threads
from tuning.execution.worker import Job
from tuning.execution.worker_process import NAME
from tuning.problem.problem import load_data

SEARCHED = ("--random", 2, "--sweep", 7, "--keep", 0)  # a model that is saved has a file


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    words = command("tuning", "run", "--problem", TINY, *SEARCHED, "--out", out)
    subprocess.run(words, check=True, capture_output=True)
    return load_results(out)


@pytest.mark.parametrize(
    ("how", "then"),
    [
        ("kill -9", "processes"),
        pytest.param("Ctrl-C", "processes", marks=pytest.mark.slow),
        pytest.param("kill -9 of its child", "ray", marks=pytest.mark.slow),
    ],
)
def test_stopped_it_leaves_no_process_and_goes_on_by_any_executor(
    how, then, undisturbed, tmp_path, monkeypatch
):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    slower = ("    import keras\n", "    import keras, time\n    time.sleep(0.25)\n")
    problem, out = changed(tmp_path, slower), tmp_path / "r"
    process = subprocess.Popen(
        command("tuning", "run", "--problem", problem, *SEARCHED, "--workers", 2, "--out", out),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for_rows(out, 1, process)
    (driver,) = psutil.Process(process.pid).children()
    workers = [each for each in children_of(process) if each.name() == NAME]
    assert len(workers) == 2
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert re.search(r"go on with\n +\S*python\S* -m tuning run --out", errors)
    else:
        (driver if "child" in how else process).kill()
        process.communicate(timeout=60)
    assert psutil.wait_procs([driver, *workers], timeout=60)[1] == []
    left = [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in left) == 0  # locks of CPUs alone
    counted = load_results(out)
    assert 1 <= len(counted) < 9
    words = ("run_ray.py",) if then == "ray" else ("tuning", "run")
    done = subprocess.run(command(*words, "--out", out), capture_output=True, text=True, check=True)
    assert f"{len(counted)} trials are counted" in done.stdout
    pd.testing.assert_frame_equal(
        load_results(out).drop(columns=UNTIMED), undisturbed.drop(columns=UNTIMED), rtol=1e-4
    )


def test_ray_is_not_even_imported(tmp_path):
    check = "\nimport sys\nassert len(results.trials) == 6 and 'ray' not in sys.modules\n"
    python(tmp_path, SCRIPT + SEARCH + check)


@pytest.fixture
def none():
    """No Ray: processes of our own."""


def test_a_worker_ends_when_its_driver_no_longer_holds_the_pipe(none):
    _, executor = executor_of(TINY, none, engine="auto")
    executor.thread_report()
    (pid, _) = pids_of(executor)
    executor._slots[0].process.connection.close()
    deadline = time.monotonic() + 60
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_are_told_apart_and_out_of_reach_of_signals_to_the_driver(none):
    _, executor = executor_of(TINY, none, engine="auto")
    executor.thread_report()
    for pid in pids_of(executor):
        assert psutil.Process(pid).name() == NAME
        assert os.getsid(pid) == pid
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
    executor.close()
    assert not any(map(psutil.pid_exists, pids_of(executor)))


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system cannot tell of an end")
def test_a_worker_that_dies_is_missed_though_what_it_forked_lives_on(none, tmp_path):
    forks = "import keras, os, time\n    if os.fork() == 0: time.sleep(600)\n    os._exit(3)\n"
    path = changed(tmp_path, ("    import keras\n", f"    {forks}"))
    _, executor = executor_of(path, none, engine="auto")
    with pytest.raises(TuningError, match="its worker process died"):
        executor.probe()


def test_workers_that_cannot_start_are_given_up(none, monkeypatch):
    monkeypatch.setattr(processes, "PROGRAM", "import os; os._exit(1)")
    _, executor = executor_of(TINY, none, engine="auto")
    says = "no model of problem 'tiny' can be tried: its worker process died"
    with pytest.raises(TuningError, match=says):
        executor.probe()


def test_a_package_that_is_missing_is_named(none, monkeypatch):
    lacks = "from tuning.execution import worker; worker.look = lambda *_, **__: __import__('wine')"
    monkeypatch.setattr(
        processes, "PROGRAM", processes.PROGRAM.replace("serve(", f"{lacks}; serve(")
    )
    _, executor = executor_of(TINY, none, engine="auto")
    with pytest.raises(TuningError, match="a worker lacks the package 'wine'"):
        executor.probe()


@pytest.mark.parametrize("verbose", [False, True])
def test_workers_speak_only_if_they_are_to(verbose, tmp_path, capfd):
    speaks = "import keras, os\n    print('in Python', flush=True)\n    os.write(2, b'in C')\n"
    path = changed(tmp_path, ("    import keras\n", f"    {speaks}"))
    problem = load_problem(str(path))
    executor = processes.ProcessExecutor(
        problem, Job(0, "jax"), engine="fit", workers=1, verbose=verbose
    )
    executor.load(load_data(problem))
    executor.probe()
    executor.close()
    said = capfd.readouterr()
    assert ("in Python" in said.err) == ("in C" in said.err) == verbose
    assert said.out == ""


@pytest.mark.parametrize(
    ("quota", "cpus"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("", 8)]
)
def test_a_container_has_as_many_workers_as_it_may_keep_busy(quota, cpus, tmp_path, monkeypatch):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(threads, "QUOTAS", ((tmp_path / "cpu.max",), (tmp_path / "none",)))
    monkeypatch.setattr(threads, "_allowed_cpus", lambda: tuple(range(8)))
    assert threads.usable_cpus() == cpus
