"""The executor that trains packs in actors on Ray, each on a CPU of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuning.errors import RunStopped, TuningError, first_line
from tuning.execution import worker
from tuning.execution.cluster import IN_FLIGHT, Cluster
from tuning.execution.slots import RETRIES, Death, Slot, SlotExecutor, Task
from tuning.packing.axes import Packing
from tuning.problem.data import Data, n_samples
from tuning.problem.problem import Problem

GROW_SECONDS = 5.0  # between looks whether a cluster has more CPUs
OWN_PROCESSES = {"TUNING_WORKER": "1"}
"""An environment of their own gives our actors processes of their own, in which Keras runs on the
backend that they need, where Ray has others' tasks as well."""

_Worker = ray.remote(num_cpus=1)(worker.KeptWorker)
_TaskMonitor = ray.remote(num_cpus=0)(worker.TaskMonitor)


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
        super().__init__(job, slots=cluster.workers, most=cluster.in_flight)
        self._monitor = _new_monitor() if job.limits else None
        self._may_pack = engine == "auto"
        self._may_grow = cluster.in_flight > cluster.workers
        self._looked = time.monotonic()
        self._gives_back = not cluster.own
        self._problem = problem
        self._data_ref: Any = None
        self._problem_ref = ray.put(problem)
        own = {"runtime_env": {"env_vars": OWN_PROCESSES}} if cluster.shared else {}
        self._worker = _Worker.options(**own)
        self._start_all()  # they import what they need while the data is loaded

    def load(self, data: Data) -> None:
        """Copy the problem's data, checked, to Ray's object store, once for all workers."""
        self._n_train = n_samples(data["train"])
        self._data_ref = ray.put(data)

    def probe(self, known: Packing | None = None) -> worker.Probe:
        """Look at the problem's models before anything is trained.

        Parameters
        ----------
        known : Packing, optional
            What was found before; it is used if a worker sees that it still holds.

        Raises
        ------
        TuningError
            If none of a few configurations can be built and scored.
        """
        try:
            found = self._look(self._may_pack, known)
            if known is not None and self._may_pack and found.packing != known:
                found = self._look(self._may_pack)
        except ray.exceptions.LocalRayletDiedError:
            raise
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, ModuleNotFoundError) and cause.name:
                raise TuningError(
                    f"a worker lacks the package {cause.name!r}, which has to be on every node"
                ) from error
            raise TuningError(
                f"no model of problem {self._problem.name!r} can be tried: {_ray_error(error)}"
            ) from error
        self._job = worker.after_probe(self._problem, self._job, found)
        return found

    def _look(self, packs: bool, known: Packing | None = None) -> worker.Probe:
        """Have the workers that can train look at models, each along its share of the axes.

        What is known already each sees by itself; the first says whether it holds.
        """
        n = len(worker.shares(self._problem.space, len(self._slots))) if packs else 1
        left = deque(range(n))
        looks: dict[Any, int] = {}
        found: dict[int, worker.Probe] = {}
        deaths = 0
        while len(found) < n:
            self._start_all()
            for slot in self._slots:
                if slot.ready and left:
                    share = left.popleft(), n
                    what = self._problem_ref, self._data_ref, self._job, packs, share
                    slot.pending = slot.process.probe.remote(*what, known=known)
                    looks[slot.pending] = share[0]
            pending = {slot.pending: slot for slot in self._slots if slot.pending is not None}
            for each in self._wait(list(pending), None):
                slot = pending[each]
                if each not in looks:
                    self._came(slot)
                    continue
                try:
                    probe: worker.Probe = ray.get(each)
                except ray.exceptions.RayActorError:
                    deaths += 1
                    if deaths > RETRIES and packs:
                        return self._look_unpacked()
                    if deaths > RETRIES:
                        raise
                    left.append(looks.pop(each))
                    self._empty(slot)
                    continue
                slot.pending = None
                found[looks.pop(each)] = probe
                if probe.error or probe.packing.reason or known is not None:
                    return probe
        return worker.joined([found[i] for i in range(n)], self._problem.space)

    def _look_unpacked(self) -> worker.Probe:
        """A look at one model, after looks at several have ended workers."""
        reason = "building its models ended a worker"
        return dataclasses.replace(self._look(packs=False), packing=Packing(reason=reason))

    def _start_all(self) -> None:
        """Start a process in each slot that has none."""
        for slot in self._slots:
            if slot.process is None:
                slot.process, slot.pending = self._start()

    def thread_report(self) -> dict[str, Any]:
        """The numbers of threads that a worker's libraries report."""
        while not any(slot.ready for slot in self._slots):
            self._start_all()
            pending = {slot.pending: slot for slot in self._slots}
            for each in self._wait(list(pending), None):
                self._came(pending[each])
        process = next(slot.process for slot in self._slots if slot.ready)
        report: dict[str, Any] = ray.get(process.thread_report.remote(self._job))
        return report

    def _start(self) -> tuple[Any, Any]:
        process = self._worker.remote()
        return process, process.prepare.remote(self._job)

    def _end(self, process: Any) -> None:
        with contextlib.suppress(Exception):  # Ray may be gone
            ray.kill(process)

    def _train(self, process: Any, task: Task, options: dict[str, Any]) -> Any:
        return process.train.remote(
            self._problem_ref,
            self._data_ref,
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
            return told, [next(stream) for _ in told.states]
        except StopIteration:
            return None, []
        except ray.exceptions.LocalRayletDiedError:  # no trial's fault
            raise
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, TuningError):
                raise RunStopped(str(cause)) from error  # it is no trial's fault
            alive = isinstance(error, ray.exceptions.RayTaskError)
            own = alive and not isinstance(cause, ray.exceptions.RayError)
            raise Death(_ray_error(error), alive=alive, own=own) from error

    def _can_train(self, pending: Any) -> bool:
        try:
            ray.get(pending)
        except ray.exceptions.LocalRayletDiedError:
            raise
        except ray.exceptions.RayTaskError:  # what it trains will say so
            return True
        except ray.exceptions.RayError:
            return False
        return True

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


def _ray_error(error: ray.exceptions.RayError) -> str:
    if isinstance(error, ray.exceptions.RayTaskError) and error.cause is not None:
        return first_line(error.cause)
    if isinstance(error, ray.exceptions.RayActorError | ray.exceptions.WorkerCrashedError):
        return "its worker process died"
    return first_line(error)
