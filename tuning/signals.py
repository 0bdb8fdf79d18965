"""SIGTERM as Ctrl-C: batch schedulers send it some seconds before they end a job."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def ends_at_sigterm(farewell: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM end the process, after a farewell, for the length of a `with` block.

    It may come to Ray's processes as well. Once they are gone Ray ends this one, too, with a code
    of its own and within 20 ms, in which no exception comes out of a call that waits for Ray. So
    a thread hears of the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)

    def listen() -> None:
        while heard := os.read(ear, 64):
            if signal.SIGTERM in heard:
                try:
                    farewell()
                finally:
                    os._exit(TERMINATED)
        os.close(ear)

    threading.Thread(target=listen, daemon=True).start()
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    mouth_before = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(mouth_before)
        signal.signal(signal.SIGTERM, before)
        os.close(mouth)


def exit_code() -> int:
    """What a process ends with that was stopped: by SIGTERM, or else by Ctrl-C.

    An exception of its own would not tell: Ray raises `KeyboardInterrupt` for any that comes while
    it waits.
    """
    return TERMINATED if _terminated.is_set() else INTERRUPTED


def _terminate(*_: object) -> NoReturn:
    _terminated.set()
    raise KeyboardInterrupt
