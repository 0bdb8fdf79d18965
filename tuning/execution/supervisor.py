"""A command's supervisor: a process that outlives the command's work and says how it ended.

Ray ends a driver from C++, by `_exit`, once a process that it depends on is gone, and the system
kills one for want of memory: nothing of the driver's own runs then. So the command forks at its
start. The child works. The parent keeps the process number that the user knows, hears what the
child tells, watches Ray's processes, and has the last word where the child has had none. As rows
count once they are on the disk, it ends the child by SIGKILL, at Ctrl-C and SIGTERM as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.errors import RunStopped
from tuning.execution.quiet import leave_stderr_to_python
from tuning.runs.lock import be_known_as

INTERRUPTED, TERMINATED = 130, 143  # 128 and the signal's number, as shells have it
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SWEEP_SECONDS = 0.1  # within which a signal for all of a job's processes has come to each
LOOK_SECONDS = 0.25  # between looks for what a starting Ray has started
WAIT_SECONDS = 1.0  # between looks whether the child lives, if its end was not heard
PROGRAMS = {"gcs_server": "GCS server", "raylet": "raylet"}  # which a driver starts
AGENTS = {  # which a raylet starts, by their command lines before and after they name themselves
    r"ray::DashboardAgent|/dashboard/agent\.py": "dashboard agent",
    r"ray::RuntimeEnvAgent|/runtime_env/agent/main\.py": "runtime environment agent",
}
VMSTAT = Path("/proc/vmstat")  # Linux


@dataclass(frozen=True)
class _Supervised:
    """The supervisor, as the supervised process knows it."""

    process: int
    mouth: int


_supervised: _Supervised | None = None


def tell(**facts: Any) -> None:
    """Send facts to the supervisor, if there is one.

    Parameters
    ----------
    out, go_on : str
        The run's directory, and the command that goes on with it.
    ray : {"starts", "runs", "ends"}
        What Ray's processes on this machine do.
    cluster : str
        What is lost if Ray ends this process.
    """
    if _supervised:
        with contextlib.suppress(OSError):
            os.write(_supervised.mouth, f"{json.dumps(facts)}\n".encode())


def supervised(
    work: Callable[[], int],
    stopped: Callable[[dict[str, Any]], None],
    *,
    known: Mapping[str, Any] | None = None,
    verbose: bool = False,
) -> int:
    """Do some work in a child process; in both processes return the exit code.

    Parameters
    ----------
    work : callable
        Returns the exit code, and says what is to be said of it.
    stopped : callable
        Called with the facts told, in the parent, if the work was ended by Ctrl-C, by SIGTERM or
        without a word: says how far it came.
    known : mapping, optional
        The facts until some are told.
    verbose : bool
        Let C++ libraries write to standard error.

    Raises
    ------
    RunStopped
        In the parent, if the child died without a word: what died, as far as it is known.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ear, mouth = os.pipe()
    lifeline, held = os.pipe()
    heard: list[int] = []
    child = 0

    def hear(number: int, _: Any) -> None:
        heard.append(number)
        if child:
            _kill(child)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hear)
    parent, before = os.getpid(), _killed_for_memory()
    child = os.fork()
    if not child:
        os.close(ear)
        os.close(held)
        if not verbose:
            leave_stderr_to_python()
        be_known_as(parent)
        return _work(work, _Supervised(parent, mouth), lifeline)
    os.close(mouth)
    os.close(lifeline)
    if heard:
        _kill(child)
    facts, died, code = _watch(child, ear, dict(known or {}))
    child = 0
    if died:
        time.sleep(SWEEP_SECONDS)
    if "code" in facts and not died:
        return code if code >= 0 else int(facts["code"])
    stopped(facts)
    if heard:
        return INTERRUPTED if heard[0] == signal.SIGINT else TERMINATED
    said = died or _how_it_died(code, facts)
    if _killed_for_memory() > before:
        said += "; the system has run out of memory and ended processes meanwhile"
    raise RunStopped(said)


def _work(work: Callable[[], int], link: _Supervised, lifeline: int) -> int:
    """Work as the child: end with the parent, and leave signals to it."""
    global _supervised  # noqa: PLW0603
    _supervised = link
    own = os.getpid()

    def pass_on(number: int, _: Any) -> None:
        if os.getpid() == own:
            os.kill(link.process, number)
        else:  # a process that was forked from this one
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def end_with_parent() -> None:
        os.read(lifeline, 1)
        _kill(own)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    threading.Thread(target=end_with_parent, daemon=True).start()
    code = 1  # of an exception
    try:
        code = work()
    finally:
        tell(code=code)
    return code


def _watch(child: int, ear: int, facts: dict[str, Any]) -> tuple[dict[str, Any], str, int]:
    """Wait for the child's end: what is known, which part of Ray died before it, its exit code."""
    os.set_blocking(ear, False)
    text, died, closed, with_child = b"", "", False, False
    parts: dict[int, str] = {}
    looked: set[int] = set()
    poll = select.poll()
    poll.register(ear, select.POLLIN)
    while True:
        starting = facts.get("ray") == "starts"
        ready = {fd for fd, _ in poll.poll(1000 * (LOOK_SECONDS if starting else WAIT_SECONDS))}
        with contextlib.suppress(BlockingIOError):
            while new := os.read(ear, 65536):
                text += new
            closed = True
        *lines, text = text.split(b"\n")
        for line in lines:
            facts |= json.loads(line)
        if facts.get("ray") == "ends" or "code" in facts:
            for part in parts:
                poll.unregister(part)
                os.close(part)
            parts.clear()
        elif not died and (dead := [name for part, name in parts.items() if part in ready]):
            died = f"Ray's {dead[0]} died, without which no trial can be trained"
            with_child = _ends(child)  # as the system has Ray's processes die with their driver
            _kill(child)
        if starting and not died:
            for part, name in _parts_of_ray(child, looked):
                parts[part] = name
                poll.register(part, select.POLLIN)
        ended, status = os.waitpid(child, 0 if died or closed else os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return facts, "" if with_child and code < 0 else died, code


def _parts_of_ray(child: int, looked: set[int]) -> Iterator[tuple[int, str]]:
    """A file descriptor that tells of its end, and the name, of each part of Ray that is new.

    Where the system has no such descriptors, nothing.
    """
    if not hasattr(os, "pidfd_open"):
        return
    import psutil

    def name_of(process: psutil.Process) -> str:
        if process.ppid() == child:
            return PROGRAMS.get(process.name(), "")
        line = " ".join(process.cmdline()[:4])
        return next((name for what, name in AGENTS.items() if re.search(what, line)), "")

    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(child).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid not in looked and (name := name_of(process)):
                    looked.add(process.pid)
                    yield os.pidfd_open(process.pid), name


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _ends(process: int) -> bool:
    """Whether a child process has ended, or at least its main thread."""
    import psutil

    return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)


def _how_it_died(code: int, facts: dict[str, Any]) -> str:
    if code < 0:
        return f"its driver was ended by {signal.Signals(-code).name}"
    if "cluster" not in facts:
        return f"its driver ended itself, with the exit code {code}"
    return f"Ray ended its driver, as it does when {facts['cluster']}"


def _killed_for_memory() -> int:
    """The processes that the system has ended for want of memory, if it tells."""
    try:
        found = re.search(r"^oom_kill (\d+)$", VMSTAT.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
