"""The executor that trains packs as Ray tasks, each on a CPU of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuning.engines.keeping import Keep
from tuning.engines.reports import Report
from tuning.errors import RunStopped, TuningError, first_line
from tuning.execution import worker
from tuning.execution.cluster import Cluster
from tuning.execution.loop import Heard
from tuning.packing.axes import Packing
from tuning.packing.packs import Pack, Packer
from tuning.problem.data import Data, n_samples
from tuning.problem.problem import Problem
from tuning.trial import Outcome, Status, Trial

RETRIES = 2  # of a trial whose worker or node died while it trained nothing else
MEMORY_RETRIES = 1  # of a trial that took too much: perhaps what its worker had kept was in it
OWN_PROCESSES = {"TUNING_WORKER": "1"}
"""An environment of their own gives our tasks processes of their own, in which Keras runs on the
backend that they need, where Ray has others' tasks as well."""

_train = ray.remote(num_cpus=1, max_retries=0)(worker.train)  # the executor knows better than Ray
_probe = ray.remote(num_cpus=1, max_retries=RETRIES)(worker.probe)
_report_threads = ray.remote(num_cpus=1)(worker.thread_report)
_TaskMonitor = ray.remote(num_cpus=0)(worker.TaskMonitor)


@dataclass
class _Task:
    """A pack that was submitted.

    Attributes
    ----------
    reports : ray.ObjectRefGenerator
        What its worker tells of it.
    pack : Pack
    attempt : int
        What the task monitor knows it by.
    missing : dict of key to Trial
        The trials whose outcomes were not told yet, in the order of the pack.
    again : list of Pack
        To train in its place, once it has ended.
    ended : bool
    """

    reports: Any
    pack: Pack
    attempt: int
    missing: dict[Hashable, Trial]
    again: list[Pack] = field(default_factory=list)
    ended: bool = False


class RayExecutor:
    """Trains packs of one problem on a running Ray.

    When a worker or its node dies, what its pack had not finished comes back as two halves; a trial
    that ended its worker several times alone comes to an outcome that says so.

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
        self._job = job
        self._monitor = _new_monitor() if job.limits else None
        self._attempts = itertools.count()
        self._may_pack = engine == "auto"
        self._problem = problem
        self._cluster = cluster
        self._n_train = 0
        self._data_ref: Any = None
        self._problem_ref = ray.put(problem)
        self._in_flight: dict[Any, _Task] = {}
        own = {"runtime_env": {"env_vars": OWN_PROCESSES}} if cluster.shared else {}
        self._train, self._probe = _train.options(**own), _probe.options(**own)
        self._report_threads = _report_threads.options(**own)
        for _ in range(cluster.workers):  # they import what they need while the data is loaded
            self._report_threads.remote(self._job)

    def load(self, data: Data) -> None:
        """Copy the problem's data, checked, to Ray's object store, once for all workers."""
        self._n_train = n_samples(data["train"])
        self._data_ref = ray.put(data)

    def probe(self) -> worker.Probe:
        """Look at the problem's models before anything is trained.

        Raises
        ------
        TuningError
            If none of a few configurations can be built and scored.
        """
        try:
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

    def _look(self, packs: bool) -> worker.Probe:
        look = (self._problem_ref, self._data_ref, self._job, packs)
        tasks = [self._probe.remote(*look) for _ in range(self._cluster.workers)]
        try:  # every worker looks, as it is slow the first time that it builds a model
            (first, *_), _ = ray.wait(tasks, num_returns=1)
            found: worker.Probe = ray.get(first)
        except ray.exceptions.WorkerCrashedError:
            if not packs:
                raise
            reason = "building its models ended a worker"
            return dataclasses.replace(self._look(packs=False), packing=Packing(reason=reason))
        return found

    @property
    def packing(self) -> Packing:
        """The kinds of axes and programs that `probe` has found."""
        return self._job.packing

    def thread_report(self) -> dict[str, Any]:
        """The numbers of threads that a worker's libraries report."""
        report: dict[str, Any] = ray.get(self._report_threads.remote(self._job))
        return report

    @property
    def workers(self) -> int:
        """Trials that train at once."""
        return self._cluster.workers

    @property
    def packer(self) -> Packer:
        """The packer, which splits trials into packs; to be used after `probe`."""
        return Packer(self.packing, self._n_train, self._cluster.workers)

    @property
    def free(self) -> int:
        """The number of packs that it can take now."""
        return self._cluster.in_flight - len(self._in_flight)

    @property
    def busy(self) -> bool:
        """Whether it has packs that have not ended."""
        return bool(self._in_flight)

    def submit(self, pack: Pack, keep: Keep | None = None) -> None:
        """Begin to train a pack, as a task on one CPU."""
        attempt = next(self._attempts)
        refs = self._problem_ref, self._data_ref
        reports = self._train.remote(
            *refs, pack.trials, self._job, keep=keep, attempt=attempt, monitor=self._monitor
        )
        missing = {trial.key: trial for trial in pack.trials}
        self._in_flight[reports] = _Task(reports, pack, attempt, missing)

    def close(self) -> None:
        """End the tasks that train still, where Ray goes on without the executor."""
        for reports in self._in_flight:
            with contextlib.suppress(Exception):  # Ray may be gone
                ray.cancel(reports, force=True)
        self._in_flight.clear()

    def stop_at(self, seconds: float | None) -> None:
        """Stop what trains in so many seconds from now, at the end of its epoch; None: do not."""

    def cancel(self) -> None:
        """End at once what trains; nothing of it is reported."""
        self.close()

    def hear(self) -> list[Heard]:
        """Wait for news of at least one pack."""
        ray.wait(list(self._in_flight), num_returns=1)
        ready, _ = ray.wait(list(self._in_flight), num_returns=len(self._in_flight), timeout=0)
        heard = []
        for reports in ready:
            task = self._in_flight[reports]
            report = self._next_report(task)
            heard.append(Heard(task.pack, report, task.ended, task.again))
            if task.ended:
                del self._in_flight[reports]
        return heard

    def _next_report(self, task: _Task) -> Report:
        """The next report of a task; waits for it."""
        try:
            report: Report = ray.get(next(task.reports))
        except ray.exceptions.LocalRayletDiedError:  # no trial's fault
            raise
        except ray.exceptions.RayError as error:
            report, task.again = self._after_death(task, error)
            task.ended = True
        for outcome in report.outcomes:
            del task.missing[outcome.trial.key]
        task.ended |= not task.missing
        return report

    def _after_death(
        self, task: _Task, error: ray.exceptions.RayError
    ) -> tuple[Report, list[Pack]]:
        """The report to give of a task whose worker died, and the packs to train in its place."""
        if isinstance(cause := getattr(error, "cause", None), TuningError):
            raise RunStopped(str(cause)) from error  # it is no trial's fault
        pack, missing = task.pack, list(task.missing.values())
        seconds, reason = self._heard_of(task)
        if len(pack.trials) > 1:
            half = math.ceil(len(missing) / 2)
            parts = missing[:half], missing[half:]
            return Report(), [self.packer.pack(trials) for trials in parts if trials]
        if seconds >= (limit := self._job.limits.seconds or math.inf):
            said = f"it took longer than the {limit:g} s that a trial may take"
            return self._lost(pack, said, seconds, "timeout"), []
        own = isinstance(error, ray.exceptions.RayTaskError)
        if own and not isinstance(error.cause, ray.exceptions.RayError):  # it would again
            return self._lost(pack, _ray_error(error), seconds), []
        deaths = pack.deaths + 1
        if deaths <= (MEMORY_RETRIES if reason else RETRIES):
            return Report(), [dataclasses.replace(pack, deaths=deaths)]
        return self._lost(pack, reason or f"{_ray_error(error)}, {deaths} times", seconds), []

    def _lost(self, pack: Pack, said: str, seconds: float, status: Status = "failed") -> Report:
        """The report for a trial whose worker died before it could report."""
        outcome = Outcome(
            pack.trials[0],
            status,
            "vectorized" if self._job.packs else "fit",
            self._job.backend,
            seconds=seconds,
            error=said,
            worker="",
        )
        return Report([outcome], seconds=seconds)

    def _heard_of(self, task: _Task) -> tuple[float, str]:
        """The seconds that a task trained before its worker died, and why, if there are limits."""
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
    if isinstance(error, ray.exceptions.WorkerCrashedError):
        return "its worker process died"
    return first_line(error)
