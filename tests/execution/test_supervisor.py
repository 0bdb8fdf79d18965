"""A command's parent process has the last word where its work has had none."""

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from tuning.execution import supervisor

COMMAND = """
import os, signal, sys, time
from tuning.errors import RunStopped
from tuning.execution.supervisor import supervised, tell
from tuning.runs.lock import command_process

def stopped(facts):
    print("stopped", facts, flush=True)

def work():
    tell(out="run")
    print("works", os.getpid(), command_process(), flush=True)
    {work}
    return 7

try:
    sys.exit(supervised(work, stopped))
except RunStopped as error:
    print(error)
    sys.exit(1)
"""
MUTE = "Ray ended its driver, as it does when it has lost the cluster"


def start(work):
    """A supervised command whose work has begun, and its driver's process number."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(work=work)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    works, driver, named = process.stdout.readline().split()
    assert (works, named) == ("works", str(process.pid))
    return process, int(driver)


def heard(process):
    """What a command says until it ends, and to standard error; a hanging one is ended."""
    watch = threading.Timer(60, process.kill)
    watch.start()
    said, errors = process.stdout.read(), process.stderr.read()  # what is read ahead included
    process.wait()
    watch.cancel()
    return said, errors


@pytest.mark.parametrize(
    ("work", "code", "says"),
    [
        ("pass", 7, ""),
        ("sys.exit(2)", 2, ""),
        ("raise ValueError", 1, ""),
        ("tell(code=3); os.abort()", 3, ""),  # as a library may, once all is said
        ("tell(cluster='it has lost the cluster'); os._exit(1)", 1, MUTE),
        ("os._exit(3)", 1, "its driver ended itself, with the exit code 3"),
        ("os.abort()", 1, "its driver was ended by SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 1, "its driver was ended by SIGKILL"),
        ("os.write(2, b'of C++'); sys.stderr.write('of Python')", 7, ""),
    ],
)
def test_what_ends_without_a_word_is_told_of(work, code, says):
    process, _ = start(work)
    said, errors = heard(process)
    assert process.returncode == code
    assert "of C++" not in errors
    assert ("of Python" in errors) == ("of Python" in work)
    if says:
        first, second = said.splitlines()
        assert first.startswith("stopped {'out': 'run'")
        assert second.startswith(says)
    else:
        assert said == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to", ["the command", "its driver", "all"])
def test_a_signal_ends_it_whoever_gets_it(number, to):
    process, driver = start("time.sleep(600)")
    if to == "all":
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid if to == "the command" else driver, number)
    said, errors = heard(process)
    assert (said, errors) == ("stopped {'out': 'run'}\n", "")
    assert process.returncode == 128 + number
    assert not psutil.pid_exists(driver)


def test_the_driver_does_not_outlive_the_command():
    process, driver = start("time.sleep(600)")
    process.kill()
    heard(process)
    gone, _ = psutil.wait_procs([psutil.Process(driver)] if psutil.pid_exists(driver) else [], 60)
    assert gone or not psutil.pid_exists(driver)


def test_what_a_driver_forks_is_ended_by_signals_as_ever():
    fork = (
        "naps = [0.1] * 6000; ear, mouth = os.pipe(); "  # a signal before a nap waits for its end
        "child = os.fork() or os.write(mouth, b'.') and [time.sleep(n) for n in naps]; "
        "os.read(ear, 1); os.kill(child, 15); print(os.waitpid(child, 0)[1])"
    )
    process, _ = start(fork)
    said, _ = heard(process)
    assert (process.returncode, said) == (7, "15\n")


def test_processes_that_the_system_ended_for_memory_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "VMSTAT", tmp_path / "vmstat")
    assert supervisor._killed_for_memory() == 0
    (tmp_path / "vmstat").write_text("pgfault 12\noom_kill 3\n")
    assert supervisor._killed_for_memory() == 3
