"""What a worker process of our own runs: it does what its driver asks, and ends with it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tuning.errors import TuningError, first_line
from tuning.execution.shared import Place, read
from tuning.execution.worker import KeptWorker, Told, states_apart

NAME = "tuning-worker"  # what tools such as top call the process
RECORD_SECONDS = 5
FIRST_TO_END = "1000"  # when the machine has no memory left, so that the driver is spared
OOM_SCORE = Path("/proc/self/oom_score_adj")  # Linux
SET_DEATH_SIGNAL, SET_NAME = 1, 15  # of prctl


@dataclass(frozen=True)
class Began:
    """A training that has limits has begun, on the monotonic clock of the machine."""

    at: float


@dataclass(frozen=True)
class Ending:
    """Why the process is about to be ended."""

    why: str


@dataclass(frozen=True)
class Trained:
    """A report, and the states in it, each pickled."""

    told: Told
    states: list[bytes]


@dataclass(frozen=True)
class Ended:
    """What was asked for is done, with this result."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """It failed.

    Attributes
    ----------
    said : str
        How, as one line.
    stops : bool
        Whether it is no trial's fault, and would fail every pack.
    missing : str
        The package that is missing, if that is why.
    """

    said: str
    stops: bool = False
    missing: str = ""

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """What an error says."""
        stops = isinstance(error, TuningError)
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        return cls(str(error) if stops else first_line(error), stops, missing or "")


Message = Began | Ending | Trained | Ended | Failed


class Driver:
    """The driver, as its worker process knows it.

    A thread of its own hears it, so that the process ends with the driver while it trains, too, and
    the driver never waits for it to listen.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._telling = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> tuple[int, str, tuple[Any, ...], dict[str, Any]]:
        """What it asks for next: its number, a method's name, and its arguments."""
        asked: tuple[int, str, tuple[Any, ...], dict[str, Any]] = pickle.loads(self._asked.get())
        return asked

    def tell(self, number: int, message: Message, seconds: float = -1) -> None:
        """Tell it something of what it has asked for.

        Parameters
        ----------
        number : int
        message : Message
        seconds : float
            How long to wait at most while another thread is telling something.
        """
        told = pickle.dumps((number, message), protocol=5)
        if self._telling.acquire(timeout=seconds):
            try:
                self._connection.send_bytes(told)
            except OSError:
                os._exit(1)  # it is gone
            finally:
                self._telling.release()

    def _listen(self) -> None:
        try:
            while True:
                self._asked.put(self._connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(1)


@dataclass(frozen=True)
class _Watch:
    """What is trained, as the driver hears of it."""

    driver: Driver
    number: int

    def begin(self) -> None:
        self.driver.tell(self.number, Began(time.monotonic()))

    def record_reason(self, why: str) -> None:
        self.driver.tell(self.number, Ending(why), RECORD_SECONDS)

    def end(self) -> None:
        """The driver hears that it has ended."""


class ProcessWorker(KeptWorker):
    """A worker process of our own: it reads the problem and its data from files.

    Parameters
    ----------
    files : list of int
        Their descriptors: see `tuning.execution.shared`.
    driver : Driver
    """

    def __init__(self, files: list[int], driver: Driver) -> None:
        super().__init__()
        self._driver = driver
        self._read = functools.cache(functools.partial(read, files))

    def do(self, number: int, method: str, what: Sequence[Any], options: dict[str, Any]) -> Any:
        """Do what the driver asks for, and return its result.

        Parameters
        ----------
        number : int
            What the driver knows it by.
        method : str
            ``train``, or the name of a method.
        what, options
            Its arguments; a `Place` stands for the problem and its data.
        """
        if what and isinstance(what[0], Place):
            what = *self._read(what[0]), *what[1:]
        if method != "train":
            return getattr(self, method)(*what, **options)
        for training, state in options.get("going_on", {}).items():
            options["going_on"][training] = pickle.loads(state)
        for report in self.reports(*what, watch=_Watch(self._driver, number), **options):
            told, states = states_apart(report)
            kept = [pickle.dumps(state, protocol=5) for state in states]
            self._driver.tell(number, Trained(told, kept))
        return None


def serve(inherited: str) -> None:
    """Do what the driver asks for, one thing after another, until it is gone.

    Parameters
    ----------
    inherited : str
        Descriptors, with commas between: of the pipe to the driver, and of the files with the
        problem and its data.
    """
    _end_with_driver()
    connection, *files = map(int, inherited.split(","))
    driver = Driver(Connection(connection))
    worker = ProcessWorker(files, driver)
    while True:
        number, method, what, options = driver.next()
        try:
            done: Message = Ended(worker.do(number, method, what, options))
        except Exception as error:
            done = Failed.of(error)
        driver.tell(number, done)


def _end_with_driver() -> None:
    """Have the system end this process with its driver, and before it when memory runs out."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        control = ctypes.CDLL(None).prctl
        control(SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        control(SET_NAME, NAME.encode(), 0, 0, 0)
    with contextlib.suppress(OSError):
        OOM_SCORE.write_text(FIRST_TO_END, encoding="ascii")
