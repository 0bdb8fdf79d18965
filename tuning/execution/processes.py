"""The executor that trains packs in worker processes of its own on this machine, without Ray."""

from __future__ import annotations

import contextlib
import itertools
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any

import cloudpickle

from tuning.errors import RunStopped, first_line
from tuning.execution.shared import Place, SharedFiles
from tuning.execution.slots import IN_FLIGHT, Death, SlotExecutor, Task
from tuning.execution.threads import usable_cpus
from tuning.execution.worker import Job, Told
from tuning.execution.worker_process import Began, Ended, Ending, Failed, Message, Trained
from tuning.problem.data import Data
from tuning.problem.problem import Problem

PROGRAM = (
    "import sys; inherited, sys.argv, sys.path[:] = sys.argv[1], sys.argv[:1], sys.argv[2:]; "
    "from tuning.execution.worker_process import serve; serve(inherited)"
)
DIED = "its worker process died"
END_SECONDS = 10  # for a process to go that was killed


@dataclass(eq=False)
class Call:
    """What a process was asked for, and what it has told of it.

    Attributes
    ----------
    process : Process
    news : deque of Message
        Those that were not read yet.
    began : float, optional
        When a training that has limits began, on the monotonic clock.
    why : str
        Why the process was ended, if it told.
    """

    process: Process
    news: deque[Message] = field(default_factory=deque)
    began: float | None = None
    why: str = ""

    @property
    def ready(self) -> bool:
        """Whether there are news, or there will be none."""
        return bool(self.news) or self.process.dead

    def hear(self, message: Message) -> None:
        """Take a message of the process."""
        match message:
            case Began(at):
                self.began = at
            case Ending(why):
                self.why = why
            case _:
                self.news.append(message)


class Process:
    """A worker process, as its driver knows it.

    It is a fresh interpreter that finds modules where this one does, and has a session of its own,
    so that Ctrl-C in a terminal does not reach it.

    Parameters
    ----------
    files : list of int
        Descriptors for it to inherit.
    verbose : bool
        Let it print, to standard error.

    Attributes
    ----------
    connection : Connection
        The pipe to it.
    ends : list
        What has news when it has told something, or has ended: the pipe, and a descriptor of the
        process, where the system has such, as a process that it has forked may hold the pipe.
    dead : bool
        Whether it has ended, and all it has told was received.

    Raises
    ------
    RunStopped
        If the system starts no more processes.
    """

    def __init__(self, files: Sequence[int], *, verbose: bool) -> None:
        self.connection, its = multiprocessing.Pipe()
        self.dead = False
        self._calls: dict[int, Call] = {}
        self._numbers = itertools.count()
        speaks = 2 if verbose else subprocess.DEVNULL
        inherited = [its.fileno(), *files]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM, ",".join(map(str, inherited)),
                 *map(str, sys.path)],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=speaks,
                stderr=speaks,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise RunStopped(f"no worker process can be started: {first_line(error)}") from error
        finally:
            its.close()
        self.ends: list[Any] = [self.connection]
        with contextlib.suppress(AttributeError, OSError):  # Linux alone has them
            self.ends.append(os.pidfd_open(self._process.pid))

    def call(self, method: str, what: Sequence[Any], options: dict[str, Any]) -> Call:
        """Ask it for something, after what it has to do already."""
        number = next(self._numbers)
        self._calls[number] = call = Call(self)
        asked = cloudpickle.dumps((number, method, tuple(what), options), protocol=5)
        with contextlib.suppress(OSError):  # it has died, which is heard when it is waited for
            self.connection.send_bytes(asked)
        return call

    def receive(self) -> None:
        """Take the next message, where one of its ends has news."""
        if not self.connection.poll():  # it has ended, and had no more to tell
            self.dead = True
            return
        try:
            number, message = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.dead = True
            return
        self._calls[number].hear(message)
        if isinstance(message, Ended | Failed):
            del self._calls[number]

    def end(self) -> None:
        """End it, and what it has started, whatever it does."""
        self.connection.close()
        for descriptor in self.ends[1:]:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)


class ProcessExecutor(SlotExecutor):
    """Trains packs of one problem in a worker process a CPU of this machine.

    The processes read the problem and its data from one file without a name. They end with this
    one, however it does. Paused trainings are in this process' memory.

    Parameters
    ----------
    problem : Problem
    job : Job
        What is the same for all that the workers do; how configurations share programs is found by
        `probe`.
    engine : {"auto", "fit"}
        Whether to pack what shares a program.
    workers : int, optional
        How many; unless told one for each CPU that this process may use.
    verbose : bool
        Let workers print, to standard error.
    """

    def __init__(
        self,
        problem: Problem,
        job: Job,
        *,
        engine: str,
        workers: int | None = None,
        verbose: bool = False,
    ) -> None:
        slots = workers or usable_cpus()
        super().__init__(problem, job, engine=engine, slots=slots, most=IN_FLIGHT * slots)
        self._files = SharedFiles()
        self._place: Place | None = None
        self._verbose = verbose
        try:
            self._start_all()  # they import what they need while the data is loaded
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all processes."""
        super().close()
        self._files.close()

    def _share(self, data: Data) -> None:
        """Write the problem and its data to the file."""
        self._place = self._files.write((self._problem, data))

    def _searched(self) -> tuple[Any, ...]:
        return (self._place,)

    def _start(self) -> tuple[Any, Any]:
        process = Process(self._files.descriptors, verbose=self._verbose)
        return process, self._call(process, "prepare", self._job)

    def _end(self, process: Process) -> None:
        process.end()

    def _call(self, process: Process, method: str, *what: Any, **options: Any) -> Call:
        return process.call(method, what, options)

    def _result(self, pending: Call) -> Any:
        self._wait([pending], None)
        done = _next(pending)
        assert isinstance(done, Ended)
        return done.result

    def _train(self, process: Process, task: Task, options: dict[str, Any]) -> Call:
        what = *self._searched(), task.pack.trials, self._job
        return process.call("train", what, {"keep": task.keep, **options})

    def _wait(self, streams: Sequence[Call], seconds: float | None) -> list[Call]:
        until = math.inf if seconds is None else time.monotonic() + seconds
        while not (ready := [each for each in streams if each.ready]):
            left = max(0.0, until - time.monotonic())
            ends = {end: each.process for each in streams for end in each.process.ends}
            heard = connection.wait(list(ends), None if math.isinf(left) else left)
            if not heard:
                return []
            for end, process in ends.items():
                if end in heard:
                    process.receive()
        return ready

    def _read(self, stream: Call) -> tuple[Told | None, list[bytes]]:
        match _next(stream):
            case Trained(told, states):
                return told, states
        return None, []

    def _heard_of(self, task: Task) -> tuple[float, str]:
        call: Call = task.stream
        seconds = 0.0 if call.began is None else time.monotonic() - call.began
        return seconds, call.why


def _next(call: Call) -> Message:
    """The next news of a call.

    Raises
    ------
    Death
        If it failed, or the process is not there any more.
    """
    if not call.news:
        raise Death(DIED)
    message = call.news.popleft()
    if isinstance(message, Failed):
        said, stops, missing = message.said, message.stops, message.missing
        raise Death(said, alive=True, own=True, stops=stops, missing=missing)
    return message
