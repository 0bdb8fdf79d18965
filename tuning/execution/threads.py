"""Hold a worker to one CPU thread: one thread in every library, one CPU for the process."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuning.problem.environment import XLA_ONE_THREAD

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}

CAN_PIN = hasattr(os, "sched_setaffinity")  # Linux
QUOTAS = (  # of a container: microseconds of CPU time in a period, and the period
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
_last_owned: list[int] = []


@functools.cache
def use_one_thread(backend: str) -> None:
    """Set every numerical library of this process to one thread; once, before Keras is imported.

    Libraries that are loaded already (NumPy's BLAS, OpenMP) are told through threadpoolctl, those
    to come by their environment variables, TensorFlow by its own configuration.
    """
    import threadpoolctl

    os.environ.update(ONE_THREAD)
    flags = os.environ.get("XLA_FLAGS", "")
    if XLA_ONE_THREAD not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {XLA_ONE_THREAD}".strip()
    threadpoolctl.threadpool_limits(1)
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    elif backend == "torch":
        import torch

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
    threadpoolctl.threadpool_limits(1)


@contextlib.contextmanager
def one_cpu() -> Iterator[int | None]:
    """Own one CPU of this machine for a while, which no other worker of this user's then has.

    Ownership is a lock on a file a CPU, which the system lets go of when the process dies. The
    process is held to that CPU with all its threads, for libraries that start more than they were
    told to. If every CPU is owned, or the platform cannot pin, nothing is held and it yields None.

    Yields
    ------
    int or None
        The CPU's number.
    """
    if not CAN_PIN:
        yield None
        return
    import fcntl

    for cpu in _preferred_cpus():
        with contextlib.ExitStack() as stack:
            try:
                lock = _lock_file(cpu)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # it has an owner, or no lock can be written here
                continue
            _last_owned[:] = [cpu]
            _pin({cpu})
            stack.callback(_pin, set(_allowed_cpus()))
            yield cpu
            return
    yield None


def report() -> dict[str, Any]:
    """The CPUs and threads that this process may use, as its libraries report them.

    Returns
    -------
    dict
        ``cpus``: the CPUs it may run on; ``pools``: threads of each OpenMP and BLAS pool;
        ``tensorflow``: (intra-op, inter-op) threads, where it is loaded.
    """
    import threadpoolctl

    found: dict[str, Any] = {
        "cpus": sorted(os.sched_getaffinity(0)) if CAN_PIN else None,
        "pools": {
            f"{pool['user_api']} {Path(pool['filepath']).name}": pool["num_threads"]
            for pool in threadpoolctl.threadpool_info()
        },
    }
    if "tensorflow" in sys.modules:
        threading = sys.modules["tensorflow"].config.threading
        found["tensorflow"] = (
            threading.get_intra_op_parallelism_threads(),
            threading.get_inter_op_parallelism_threads(),
        )
    return found


def usable_cpus() -> int:
    """The CPUs that this process may keep busy: those it may run on, or as its container allows."""
    n = len(_allowed_cpus()) if CAN_PIN else os.cpu_count() or 1
    for files in QUOTAS:
        with contextlib.suppress(OSError, ValueError):  # there is none, or it is ``max``
            quota, period = " ".join(
                Path(file).read_text(encoding="ascii") for file in files
            ).split()
            if int(quota) > 0:
                n = min(n, math.ceil(int(quota) / int(period)))
    return n


@functools.cache
def _allowed_cpus() -> tuple[int, ...]:
    """The CPUs this process could use before it was first pinned."""
    return tuple(sorted(os.sched_getaffinity(0)))


def _preferred_cpus() -> list[int]:
    """The allowed CPUs, the one owned last first: its caches may still be warm."""
    return sorted(_allowed_cpus(), key=lambda cpu: cpu not in _last_owned)


def _lock_file(cpu: int) -> int:
    """The file to lock for a CPU, open, in a folder that no other user can have put there."""
    folder = own_folder(Path(tempfile.gettempdir()), "tuning-cpus")
    return os.open(folder / f"{cpu}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def own_folder(parent: Path, name: str) -> Path:
    """A folder of this user's where all users may write.

    Raises
    ------
    OSError
        If it cannot be made, or another user has put it there.
    """
    folder = parent / f"{name}-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    return folder


def _pin(cpus: set[int]) -> None:
    """Hold every thread of this process to the CPUs; threads to come inherit it."""
    os.sched_setaffinity(0, cpus)
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), cpus)
