"""The executor that trains in this very process, one pack at a time, without Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tuning.engines.keeping import Keep
from tuning.engines.repeat import caller_left_alone
from tuning.engines.reports import Report
from tuning.errors import RunStopped, TuningError
from tuning.execution import threads, worker
from tuning.execution.loop import Heard
from tuning.execution.slots import States
from tuning.packing.axes import Packing
from tuning.packing.packs import Pack, Packer
from tuning.problem.data import Data, n_samples
from tuning.problem.problem import Problem


class LocalExecutor:
    """Trains packs in the caller's process: for tests, for debugging, for small searches.

    An error in `build_model` is at hand for a debugger, and nothing has to be started. There is no
    limit of time or memory for a trial, as exceeding one ends the process. What libraries draw at
    random in this process goes on afterwards as if nothing had been trained.

    Parameters
    ----------
    problem : Problem
    job : Job
        Its backend has to be that of Keras in this process, if it is imported already.
    engine : {"auto", "fit"}
        Whether to pack what shares a program.

    Raises
    ------
    TuningError
        If the job has limits, or Keras runs on another backend.
    """

    def __init__(self, problem: Problem, job: worker.Job, *, engine: str) -> None:
        if job.limits:
            raise TuningError(
                "a trial's time and memory are limited by ending its process: let there be "
                "workers, at least 1"
            )
        worker.prepare_own_process(job.backend, job.cache)
        self._problem = problem
        self._job = job
        self._may_pack = engine == "auto"
        self._data: Data = {}
        self._pack: Pack | None = None
        self._reports: Iterator[Report] = iter(())
        self._deadline: float | None = None
        self.states = States()

    def load(self, data: Data) -> None:
        """Take the problem's data, checked."""
        self._data = data

    def probe(self, known: Packing | None = None) -> worker.Probe:
        """Look at the problem's models before anything is trained.

        Parameters
        ----------
        known : Packing, optional
            What was found before; it is used if it still holds.

        Raises
        ------
        TuningError
            If none of a few configurations can be built and scored.
        """
        with caller_left_alone():
            what = self._problem, self._data, self._job, self._may_pack
            found = worker.look(*what, known=known)
            if known is not None and self._may_pack and found.packing != known:
                found = worker.look(*what)
        self._job = worker.after_probe(self._problem, self._job, found)
        return found

    @property
    def workers(self) -> int:
        """None: this process trains."""
        return 0

    def thread_report(self) -> dict[str, Any]:
        """The numbers of threads that this process' libraries report."""
        return threads.report()

    @property
    def packer(self) -> Packer:
        """The packer, which splits trials into packs; to be used after `probe`."""
        return Packer(self._job.packing, n_samples(self._data["train"]), workers=1)

    @property
    def free(self) -> int:
        """The number of packs that it can take now."""
        return 0 if self.busy else 1

    @property
    def busy(self) -> bool:
        """Whether it has a pack that has not ended."""
        return self._pack is not None

    @property
    def clock(self) -> float:
        """Seconds by which the time of a search is counted."""
        return time.monotonic()

    def submit(self, pack: Pack, keep: Keep | None = None) -> None:
        """Take a pack, to be trained while `hear` waits."""
        options: dict[str, Any] = {}
        if going_on := self.states.of(pack, self._job.packing):
            options["going_on"] = going_on
        if pack.pauses:
            options["pauses"] = True
        if self._deadline is not None:
            options["seconds"] = max(0.0, self._deadline - time.monotonic())
        self._pack = pack
        self._reports = worker.train_prepared(
            self._problem, self._data, pack.trials, self._job, keep, **options
        )

    def stop_at(self, seconds: float | None) -> None:
        """Have what is submitted from now on stop at an epoch's end after so many seconds."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def cancel(self) -> None:
        """Leave what trains; nothing comes of it."""
        self._pack, self._reports = None, iter(())

    def hear(self) -> list[Heard]:
        """Train until there is a report."""
        assert self._pack is not None
        pack, ended = self._pack, False
        try:
            with caller_left_alone():
                report = next(self._reports, None)
        except TuningError as error:  # it is no trial's fault
            raise RunStopped(str(error)) from error
        if report is None:
            self._pack, ended, report = None, True, Report()
        self.states.follow(report, self._job.packing)
        for size, state in worker.sizes(report):
            self.states.remember(size, state)
        return [Heard(pack, replace(report, paused={}), ended)]
