"""SIGTERM as Ctrl-C: batch schedulers send it some seconds before they end a job."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

INTERRUPTED, TERMINATED = 130, 143  # 128 and the signal's number, as shells have it

_terminated = threading.Event()


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt for the length of a `with` block, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    if before is not _terminate:
        _terminated.clear()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def terminated() -> bool:
    """Whether SIGTERM came."""
    return _terminated.is_set()


def end_if_terminated() -> None:
    """End this process at once if SIGTERM came.

    Ray's processes may have had it as well, and once they are gone Ray ends a process that still
    talks to them, with a code of its own.
    """
    if terminated():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(TERMINATED)


def exit_code() -> int:
    """What a process ends with that was stopped: by SIGTERM, or else by Ctrl-C.

    An exception of its own would not tell: Ray raises `KeyboardInterrupt` for any that comes while
    it waits.
    """
    return TERMINATED if terminated() else INTERRUPTED


def _terminate(*_: object) -> NoReturn:
    _terminated.set()
    raise KeyboardInterrupt
