"""The executor that trains packs in actors on Ray, each on a CPU of its own."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuning.errors import TuningError, first_line
from tuning.execution import worker
from tuning.execution.cluster import Cluster
from tuning.execution.slots import IN_FLIGHT, Death, Slot, SlotExecutor, Task
from tuning.execution.worker import KeptWorker, Told
from tuning.problem.data import Data
from tuning.problem.problem import Problem
from tuning.trial import Paused

RECORD_SECONDS = 5
STATE_SECONDS = 60  # to fetch the state of a paused training; it is trained again otherwise
GROW_SECONDS = 5.0  # between looks whether a cluster has more CPUs
OWN_PROCESSES = {"TUNING_WORKER": "1"}
"""An environment of their own gives our actors processes of their own, in which Keras runs on the
backend that they need, where Ray has others' tasks as well."""


class TaskMonitor:
    """Knows of each attempt to train something when it began and why its worker was ended."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._reasons: dict[int, str] = {}

    def begin(self, attempt: int) -> None:
        """An attempt begins."""
        self._began[attempt] = time.monotonic()

    def record_reason(self, attempt: int, why: str) -> None:
        """Its worker is about to be ended."""
        self._reasons[attempt] = why

    def end(self, attempt: int) -> tuple[float, str]:
        """The seconds since an attempt began, and why its worker was ended; it is forgotten."""
        began = self._began.pop(attempt, None)
        seconds = 0.0 if began is None else time.monotonic() - began
        return seconds, self._reasons.pop(attempt, "")


@dataclass(frozen=True)
class _Watch:
    """An attempt, as the monitor hears of it from its worker."""

    monitor: Any
    attempt: int

    def begin(self) -> None:
        ray.get(self.monitor.begin.remote(self.attempt))

    def record_reason(self, why: str) -> None:
        with contextlib.suppress(Exception):  # the process ends all the same
            ray.get(self.monitor.record_reason.remote(self.attempt, why), timeout=RECORD_SECONDS)

    def end(self) -> None:
        self.monitor.end.remote(self.attempt)


class RayWorker(KeptWorker):
    """A worker process as a Ray actor."""

    def train(
        self,
        *what: Any,
        attempt: int,
        monitor: Any,
        going_on: Mapping[Hashable, Any] | None = None,
        **options: Any,
    ) -> Iterator[Told | Paused]:
        """Train a pack, and tell of each report; the states in it come after it, by themselves.

        Parameters
        ----------
        *what, **options
            As `tuning.execution.worker.train` takes them.
        attempt : int
            What the monitor knows this task by.
        monitor : actor handle, optional
            Of a `TaskMonitor`; needed where the job has limits.
        going_on : mapping of key to object reference, optional
            The states of trainings that go on.
        """
        if going_on:
            options["going_on"] = _fetched(going_on)
        for report in self.reports(*what, watch=_Watch(monitor, attempt), **options):
            told, states = worker.states_apart(report)
            yield told
            yield from (state for state in states)  # a generator, as Ray sends to what yields


def _fetched(references: Mapping[Hashable, Any]) -> dict[Hashable, Paused]:
    """The states of trainings, without those that were lost with a node."""
    found = {}
    for training, reference in references.items():
        with contextlib.suppress(ray.exceptions.RayError):
            found[training] = ray.get(reference, timeout=STATE_SECONDS)
    return found


_Worker = ray.remote(num_cpus=1)(RayWorker)
_TaskMonitor = ray.remote(num_cpus=0)(TaskMonitor)


class RayExecutor(SlotExecutor):
    """Trains packs of one problem on a running Ray, in an actor a CPU.

    The actors have their CPUs until `close`; on a Ray that others may use, one that has nothing to
    train for `IDLE_SECONDS` ends before. One that has not got its CPU yet, or has not imported
    Keras, is given no pack; on a cluster that gets more CPUs, there are more actors. Paused
    trainings are in Ray's object store: those on a node that is lost are trained again.

    Parameters
    ----------
    problem : Problem
    job : Job
        What is the same for all that the workers do; how configurations share programs is found by
        `probe`.
    engine : {"auto", "fit"}
        Whether to pack what shares a program.
    cluster : Cluster
    """

    def __init__(self, problem: Problem, job: worker.Job, *, engine: str, cluster: Cluster) -> None:
        slots, most = cluster.workers, cluster.in_flight
        super().__init__(problem, job, engine=engine, slots=slots, most=most)
        self._monitor = _new_monitor() if job.limits else None
        self._may_grow = cluster.in_flight > cluster.workers
        self._looked = time.monotonic()
        self._gives_back = not cluster.own
        self._data_ref: Any = None
        self._problem_ref = ray.put(problem)
        own = {"runtime_env": {"env_vars": OWN_PROCESSES}} if cluster.shared else {}
        self._worker = _Worker.options(**own)
        self._start_all()  # they import what they need while the data is loaded

    def _share(self, data: Data) -> None:
        """Copy the data to Ray's object store."""
        self._data_ref = ray.put(data)

    def _searched(self) -> tuple[Any, Any]:
        return self._problem_ref, self._data_ref

    def _call(self, process: Any, method: str, *what: Any, **options: Any) -> Any:
        return getattr(process, method).remote(*what, **options)

    def _result(self, pending: Any) -> Any:
        try:
            return ray.get(pending)
        except ray.exceptions.LocalRayletDiedError:  # no trial's fault
            raise
        except ray.exceptions.RayError as error:
            raise death_of(error) from error

    def _start(self) -> tuple[Any, Any]:
        process = self._worker.remote()
        return process, self._call(process, "prepare", self._job)

    def _end(self, process: Any) -> None:
        with contextlib.suppress(Exception):  # Ray may be gone
            ray.kill(process)

    def _train(self, process: Any, task: Task, options: dict[str, Any]) -> Any:
        return process.train.remote(
            *self._searched(),
            task.pack.trials,
            self._job,
            keep=task.keep,
            attempt=task.attempt,
            monitor=self._monitor,
            **options,
        )

    def _wait(self, streams: Sequence[Any], seconds: float | None) -> list[Any]:
        ready, _ = ray.wait(list(streams), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(streams), num_returns=len(streams), timeout=0)
        return list(ready)

    def _read(self, stream: Any) -> tuple[worker.Told | None, list[Any]]:
        try:
            told: worker.Told = ray.get(next(stream))
            # The stream of a process that was killed in between ends before all states have come.
            return told, list(itertools.islice(stream, len(told.states)))
        except StopIteration:
            return None, []
        except ray.exceptions.LocalRayletDiedError:
            raise
        except ray.exceptions.RayError as error:
            raise death_of(error) from error

    def _grow(self) -> None:
        if not self._may_grow or time.monotonic() - self._looked < GROW_SECONDS:
            return
        self._looked = time.monotonic()
        more = int(ray.cluster_resources().get("CPU", 0)) - len(self._slots)
        self._slots += [Slot() for _ in range(more)]
        self._most += IN_FLIGHT * max(0, more)

    @property
    def _patience(self) -> float | None:
        patience = super()._patience
        if not self._may_grow:
            return patience
        return GROW_SECONDS if patience is None else min(patience, GROW_SECONDS)

    def _heard_of(self, task: Task) -> tuple[float, str]:
        if self._monitor is None:
            return 0.0, ""
        try:
            heard: tuple[float, str] = ray.get(self._monitor.end.remote(task.attempt))
        except ray.exceptions.RayError:  # it has died, too
            self._monitor = _new_monitor()
            return 0.0, ""
        return heard


def _new_monitor() -> Any:
    """A task monitor on the driver's own node, which lives as long as the driver does."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return _TaskMonitor.options(scheduling_strategy=here).remote()


def death_of(error: ray.exceptions.RayError) -> Death:
    """What an error of Ray's says of the process that was asked for something."""
    cause = getattr(error, "cause", None)
    alive = isinstance(error, ray.exceptions.RayTaskError)
    missing = isinstance(cause, ModuleNotFoundError) and cause.name
    return Death(
        str(cause) if isinstance(cause, TuningError) else _ray_error(error),
        alive=alive,
        own=alive and not isinstance(cause, ray.exceptions.RayError),
        stops=isinstance(cause, TuningError),
        missing=missing or "",
    )


def _ray_error(error: ray.exceptions.RayError) -> str:
    if isinstance(error, ray.exceptions.RayTaskError) and error.cause is not None:
        return first_line(error.cause)
    if isinstance(error, ray.exceptions.RayActorError | ray.exceptions.WorkerCrashedError):
        return "its worker process died"
    return first_line(error)
