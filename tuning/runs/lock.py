"""The lock of a run directory: one writer at a time, on this machine and on a shared filesystem."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
import threading
import time
from pathlib import Path

from tuning.errors import RunStopped, TuningError

LOCK = "lock"
BEAT_SECONDS = 5
SILENT_SECONDS = 30  # after which a writer on another machine counts as dead

_known_as: list[int] = []  # the process that the user started, if it is not this one


class Lock:
    """The right to write a run, held until it is closed.

    The system's lock on the file ``lock`` keeps out writers on this machine and, on most shared
    filesystems, on others. Some filesystems share no locks, so the file also names its writer, who
    touches it every few seconds: a writer on another machine counts as dead once it has not done so
    for half a minute.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    taken_over_from : str
        The writer that died without giving the lock back; else empty.

    Raises
    ------
    TuningError
        If another writer is alive, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._name = _own_name()
        try:
            self._file = self._path.open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise TuningError(f"cannot write the run {folder}: {error.strerror}") from error
        try:
            self.taken_over_from = self._take(folder)
        except BaseException:
            self._file.close()
            raise
        self._closed = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def check(self) -> None:
        """Raise RunStopped if another writer has taken the run over."""
        owner = self._owner()
        if owner != self._name:
            raise RunStopped(f"{self._path.parent} was taken over by {owner or 'another driver'}")

    def close(self) -> None:
        """Let others write the run."""
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(OSError):
                if self._owner() == self._name:
                    self._file.truncate(0)
            self._file.close()

    def _take(self, folder: Path) -> str:
        """Become the writer; return the name of the one that died, or nothing."""
        alone = False
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            owner = self._owner() or "another driver"
            raise TuningError(_taken(folder, owner)) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise TuningError(f"cannot lock the run {folder}: {error.strerror}") from error
        owner = self._owner()
        here = alone and owner.endswith(f" on {platform.node()}")
        if owner and not here and self._is_touched():
            raise TuningError(_taken(folder, owner))
        self._file.truncate(0)
        self._file.write(f"{self._name}\n")
        self._file.flush()
        return owner

    def _is_touched(self) -> bool:
        """Whether the lock's file is touched within half a minute.

        It is opened anew each time, as NFS would otherwise give an old time.
        """
        before = self._touched_at()
        deadline = time.monotonic() + SILENT_SECONDS
        while time.monotonic() < deadline:
            time.sleep(min(1, SILENT_SECONDS / 10))
            if self._touched_at() != before:
                return True
        return False

    def _touched_at(self) -> int:
        with self._path.open(encoding="utf-8") as file:
            return os.fstat(file.fileno()).st_mtime_ns

    def _owner(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self._path)


def _taken(folder: Path, owner: str) -> str:
    return f"{folder} is being written by {owner}, which has to end first"


def let_go(folder: Path) -> None:
    """Give back the lock that a process of this command held when it was ended."""
    with contextlib.suppress(OSError), (folder / LOCK).open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if file.read().strip() == _own_name():
            file.truncate(0)


def be_known_as(process: int) -> None:
    """Have this process's locks name another process: the one that the user started."""
    _known_as[:] = [process]


def command_process() -> int:
    """The number of the process that the user started."""
    return _known_as[0] if _known_as else os.getpid()


def _own_name() -> str:
    return f"process {command_process()} on {platform.node()}"
