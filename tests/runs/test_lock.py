"""One writer of a run: alive, dead, and on another machine."""

import os
import threading
import time
from pathlib import Path

import pytest

from tests.made import write_run
from tuning import RunStopped, TuningError
from tuning.runs import lock as lock_module
from tuning.runs.lock import Lock
from tuning.runs.run import Run

ELSEWHERE = "process 7 on elsewhere"


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(lock_module, "SILENT_SECONDS", 0.5)


def test_a_writer_that_lives_is_named(tmp_path):
    run = write_run(tmp_path, trials=[0])
    with Run.open(run), pytest.raises(TuningError, match=f"written by process {os.getpid()} on "):
        Run.open(run)
    with Run.open(run) as again:
        assert again.taken_over_from == ""


def test_a_writer_of_this_machine_that_died_is_succeeded_at_once(tmp_path):
    run = write_run(tmp_path, trials=[0])
    died = f"process 1 on {os.uname().nodename}"
    (run / "lock").write_text(died + "\n")
    begun = time.monotonic()
    with Run.open(run) as opened:
        assert opened.taken_over_from == died
    assert time.monotonic() - begun < 1


def test_a_silent_writer_of_another_machine_is_succeeded(tmp_path, hasty):
    """Where a shared filesystem shares no locks, its lock can be taken although it lives."""
    run = write_run(tmp_path, trials=[0])
    (run / "lock").write_text(ELSEWHERE)
    with Run.open(run) as opened:
        assert opened.taken_over_from == ELSEWHERE


def test_a_writer_of_another_machine_that_lives_is_left_alone(tmp_path, hasty):
    run = write_run(tmp_path, trials=[0])
    (run / "lock").write_text(ELSEWHERE)
    stop = threading.Event()

    def beat():
        while not stop.wait(0.05):
            os.utime(run / "lock")

    other = threading.Thread(target=beat)
    other.start()
    try:
        with pytest.raises(TuningError, match="is being written by process 7 on elsewhere"):
            Run.open(run)
    finally:
        stop.set()
        other.join()
    assert (run / "lock").read_text() == ELSEWHERE


def test_a_writer_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.05)
    with_lock = Lock(tmp_path)
    os.utime(tmp_path / "lock", (0, 0))
    deadline = time.monotonic() + 5
    while (tmp_path / "lock").stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "lock").stat().st_mtime > 0
    with_lock.close()


def test_a_writer_that_was_succeeded_stops(tmp_path):
    run = write_run(tmp_path, trials=[0])
    with Run.open(run) as opened:
        (run / "lock").write_text(ELSEWHERE)
        before = (run / "trials.csv").read_bytes()
        with pytest.raises(RunStopped, match="was taken over by process 7 on elsewhere"):
            opened.append([], [])
    assert (run / "trials.csv").read_bytes() == before
    assert Path(run / "lock").read_text() == ELSEWHERE  # it is the other's
