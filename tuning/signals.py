"""SIGTERM as Ctrl-C: batch schedulers send it some seconds before they end a job."""

from __future__ import annotations

import contextlib
import signal
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


def exit_code() -> int:
    """What a process ends with that was stopped: by SIGTERM, or else by Ctrl-C.

    An exception of its own would not tell: Ray raises `KeyboardInterrupt` for any that comes while
    it waits.
    """
    return TERMINATED if _terminated.is_set() else INTERRUPTED


def _terminate(*_: object) -> NoReturn:
    _terminated.set()
    raise KeyboardInterrupt
