"""Hold what a worker trains to limits of time and memory: beyond them its process ends."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tuning.errors import TuningError

LOOK_EVERY_SECONDS = 0.05
STATM = Path("/proc/self/statm")  # Linux
UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


@dataclass(frozen=True)
class Limits:
    """The limits of a trial.

    Attributes
    ----------
    seconds : float, optional
        On its CPU, compilation included; a pack of n trials may take n times as long.
    memory : int, optional
        Bytes that its worker's process may have for itself, libraries included; of a pack all
        share them.
    """

    seconds: float | None = None
    memory: int | None = None

    def __bool__(self) -> bool:
        return self.seconds is not None or self.memory is not None


@contextlib.contextmanager
def held_to(limits: Limits, trials: int, record: Callable[[str], None]) -> Iterator[None]:
    """End this process if what runs in the block goes beyond the limits.

    Time is kept by a thread of C, which ends a computation that never returns to Python as well.

    Parameters
    ----------
    limits : Limits
    trials : int
        How many the block trains.
    record : callable
        Told why, in a few words, before the process ends for its memory; of its time it is not.
    """
    finished = threading.Event()
    ending = threading.Lock()

    def watch(memory: int) -> None:
        while not finished.wait(LOOK_EVERY_SECONDS):
            if (taken := own_memory()) > memory:
                with ending:
                    if not finished.is_set():
                        record(f"its worker took {size(taken)}, and may take {size(memory)}")
                        os._exit(1)

    with contextlib.ExitStack() as stack:
        if limits.seconds is not None:
            faulthandler.dump_traceback_later(limits.seconds * trials, exit=True)
            stack.callback(faulthandler.cancel_dump_traceback_later)
        if limits.memory is not None:
            threading.Thread(target=watch, args=(limits.memory,), daemon=True).start()
        try:
            yield
        finally:
            with ending:
                finished.set()


def own_memory() -> int:
    """The bytes in memory that are this process's alone, where the platform tells; else 0."""
    try:
        _, resident, shared, *_ = map(int, STATM.read_text(encoding="ascii").split())
    except OSError:
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def bytes_of(text: str) -> int:
    """A number of bytes from what a person writes: ``2GB``, ``512 MB``, ``1e9``.

    Raises
    ------
    TuningError
        For anything else.
    """
    factors = {unit.lower(): factor for unit, factor in UNITS} | {"": 1}
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]b)?\s*", text.lower())
    try:
        if found and (n := int(float(found[1]) * factors[found[2] or ""])) > 0:
            return n
    except (ValueError, OverflowError):
        pass
    raise TuningError(f"--trial-memory takes a size such as 2GB or 512MB, not {text!r}")


def size(n: float) -> str:
    """A number of bytes as a person says it: ``1.5 GB``."""
    for unit, factor in UNITS:
        if n >= factor:
            return f"{float(f'{n / factor:.3g}'):g} {unit}"
    return f"{n:g} bytes"
