"""Ray itself: start it on this machine, or join a cluster that runs."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._private import node as ray_node
from ray._private import ray_constants
from ray._private import services as ray_services
from ray._private import state as ray_state
from ray._private import worker as ray_worker

from tuning.errors import RunStopped, TuningError, first_line
from tuning.execution.slots import IN_FLIGHT
from tuning.execution.supervisor import tell
from tuning.execution.threads import own_folder

JOIN_SECONDS = 20
NODE_SECONDS = 0.02  # between looks for a node that registers; Ray's own are a second apart
NODE_LOOKS = 1000
STORE_BYTES = (256 * 2**20, 2 * 2**30)  # of Ray's object store, at least and at most
LONGEST_FOLDER = 40  # bytes; a socket's path in it has 64 more, and may have 103 on macOS
SHORT_FOLDERS = Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")
UNUSED = ("start_monitor", "start_api_server")
LOG_READER = "start_log_monitor"
"""Ray's own processes that a search on one machine does not need: to add
nodes, to answer its dashboard and `ray` commands and, if quiet, to print what workers say."""


@dataclass(frozen=True)
class Cluster:
    """A running Ray.

    Attributes
    ----------
    workers : int
        Trials that train at once.
    in_flight : int
        Packs to submit at once: where Ray itself trains no more than `workers`, a few more, so that
        the next is at hand.
    shared : bool
        Whether it is the caller's own, who may have other things done by its processes.
    own : bool
        Whether it was started for this search alone.
    """

    workers: int
    in_flight: int
    shared: bool = False
    own: bool = False


@contextlib.contextmanager
def ray_cluster(
    address: str | None = None,
    workers: int | None = None,
    *,
    verbose: bool = False,
) -> Iterator[Cluster]:
    """Ray for the length of a `with` block.

    Parameters
    ----------
    address : str, optional
        An existing cluster's ``host:port``, or ``auto``. Unless told, a Ray of our own starts on
        this machine, without dashboard or usage reports, and ends with the block; a process that
        has a Ray already, as a notebook may, goes on with that one, which stays.
    workers : int, optional
        How many trials train at once; unless told, one on each CPU of the cluster.

    Yields
    ------
    Cluster

    Raises
    ------
    TuningError
        If no Ray answers at the address within 20 seconds, or it is of another version, or has no
        CPUs; or if the process has another one.
    RunStopped
        If Ray does not start, or fails later.
    """
    if ray.is_initialized():
        if address is not None:
            raise TuningError(
                f"this process is connected to a Ray already: leave out the address {address}, or "
                "call ray.shutdown() before"
            )
        yield _shared(workers)
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    level = logging.INFO if verbose else logging.ERROR
    logging.getLogger("ray").setLevel(level)
    quiet = {"log_to_driver": verbose, "logging_level": level}
    with contextlib.ExitStack() as stack:
        if not verbose:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            # What Ray prints of every worker that died; the trial's row says it.
            stack.enter_context(_patched(ray_worker, "listen_error_messages", lambda *_: None))
        if address is None:
            # As on macOS and Windows, listen to this machine alone; elsewhere Ray listens to the
            # network, unless RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER said so when it was imported.
            stack.enter_context(_patched(ray_constants, "ENABLE_RAY_CLUSTER", False))
            for part in UNUSED if verbose else (*UNUSED, LOG_READER):
                if hasattr(ray_node.Node, part):
                    stack.enter_context(_patched(ray_node.Node, part, lambda *_, **__: None))
            registered = _as_it_registers(ray_services.get_node)
            stack.enter_context(_patched(ray_services, "get_node", registered))
            tell(ray="starts", cluster="one of its own processes has died")
            _init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=_store_bytes(),
                _temp_dir=str(_folder()),
                **quiet,
            )
            tell(ray="runs")
        else:
            _check_address(address)
            package = str(Path(__file__).parent.parent)  # so that every worker runs this very code
            own = {"py_modules": [package], "excludes": ["__pycache__"]}
            tell(cluster=f"it has lost the cluster at {address}")
            _init(address=address, runtime_env=own, **quiet)
    try:
        cpus = _cpus(f"the Ray cluster at {address}")
        if workers is None or address is None:
            yield Cluster(cpus, IN_FLIGHT * cpus, own=address is None)
        else:
            yield Cluster(workers, workers)
    except ray.exceptions.RayError as error:
        raise RunStopped(f"Ray failed: {first_line(error)}") from error
    finally:
        tell(ray="ends")
        ray.shutdown()


def _shared(workers: int | None) -> Cluster:
    """The Ray that this process has already."""
    cpus = _cpus("this process' Ray")
    return Cluster(workers or cpus, workers or IN_FLIGHT * cpus, shared=True)


def _cpus(what: str) -> int:
    """The CPUs of the Ray that this process is connected to."""
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if cpus < 1:
        raise TuningError(f"{what} has no CPUs to train on: add a node that has")
    return cpus


def _init(**options: Any) -> None:
    """Start or join Ray.

    Raises
    ------
    RunStopped
        If that fails.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except Exception as error:  # of many types
        tell(ray="ends")
        raise RunStopped(f"Ray did not start: {first_line(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's own way ends without a word


@contextlib.contextmanager
def _patched(module: Any, name: str, value: Any) -> Iterator[None]:
    """Replace a module's attribute for a while, where Ray has no option for it."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _as_it_registers(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's `get_node`, which sleeps a second at a time, called once there is such a node.

    If there is none after many looks, Ray's own waits longer and says what it does.
    """

    def wait_and_get(gcs_address: str, node_id: str) -> Any:
        state = ray_state.GlobalState()
        with contextlib.suppress(Exception):  # Ray's own function says what is wrong
            state._initialize_global_state(ray_services._get_gcs_client_options(gcs_address))
            for _ in range(NODE_LOOKS):
                if any(node["NodeID"] == node_id for node in state.node_table()):
                    break
                time.sleep(NODE_SECONDS)
        return get_node(gcs_address, node_id)

    return wait_and_get


def _folder() -> Path:
    """The folder for the sockets and logs of a Ray of our own: Ray's default, if its path is short.

    Raises
    ------
    TuningError
        If neither that will do nor any other.
    """
    wanted = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"
    if len(os.fsencode(wanted)) <= LONGEST_FOLDER:
        return wanted
    for parent in SHORT_FOLDERS:
        with contextlib.suppress(OSError):
            return own_folder(parent, "tuning-ray")
    raise TuningError(
        f"Ray cannot have its sockets in {wanted}, whose path is longer than {LONGEST_FOLDER} "
        "bytes: set TMPDIR to a shorter one"
    )


def _store_bytes() -> int:
    """Room for the data in shared memory; what does not fit, Ray keeps on the disk."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        free = STORE_BYTES[1]
    return max(STORE_BYTES[0], min(STORE_BYTES[1], free // 2))


def _check_address(address: str) -> None:
    """Join the cluster from a process that can be given up on: `ray.init` has no time limit."""
    program = (
        "import logging, sys, ray; "
        "ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)"
    )
    try:
        joined = subprocess.run(
            [sys.executable, "-c", program, address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=JOIN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TuningError(
            f"no Ray answers at {address}: gave up after {JOIN_SECONDS} seconds"
        ) from None
    except OSError as error:
        raise TuningError(f"cannot look for Ray at {address}: {first_line(error)}") from error
    said = joined.stderr.decode(errors="replace")
    if "mismatch" in said:
        raise TuningError(
            f"the Ray at {address} is of another version than this one, or its Python is: install "
            "the same on all nodes"
        )
    if joined.returncode != 0:
        raise TuningError(f"no Ray answers at {address}")
