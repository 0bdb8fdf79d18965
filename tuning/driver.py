"""The Ray loop: ask the samplers, submit trials, collect their rows."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import ray

from tuning.cluster import Cluster
from tuning.errors import TuningError, first_line
from tuning.grid import Row
from tuning.problem import Data, Problem, Work, n_samples, work
from tuning.results import Run
from tuning.samplers import Sampler
from tuning.training import worker
from tuning.training.outcome import Outcome

HORIZON = 10_000  # trials planned ahead, so that the longest can go first
RETRIES = 2  # of a trial whose worker or node died

_train = ray.remote(num_cpus=1, max_retries=RETRIES)(worker.train)
_probe = ray.remote(num_cpus=1, max_retries=RETRIES)(worker.probe)
_report_threads = ray.remote(num_cpus=1)(worker.thread_report)


class Progress(Protocol):
    """Who is told how the search goes."""

    def planned(self, work: Work) -> None:
        """A trial was planned."""
        ...

    def finished(self, outcome: Outcome, work: Work, rows: list[Row]) -> None:
        """A trial was trained, and its rows counted."""
        ...

    def kept(self, rows: int) -> None:
        """So many rows were there without training."""
        ...


class Driver:
    """Trains trials of one problem with one seed on a running Ray.

    Parameters
    ----------
    problem : Problem
    data : dict
        Checked data of the problem; copied to Ray's object store once.
    seed : int
    backend : {"tensorflow", "jax", "torch"}
        What Keras runs on.
    cluster : Cluster
    """

    def __init__(
        self, problem: Problem, data: Data, *, seed: int, backend: str, cluster: Cluster
    ) -> None:
        self._problem = problem
        self._seed = seed
        self._backend = backend
        self._cluster = cluster
        self._n_train = n_samples(data["train"][0])
        self._problem_ref = ray.put(problem)
        self._data_ref = ray.put(data)

    def probe(self) -> worker.Probe:
        """Look at the problem's models before anything is trained.

        One worker looks; the others meanwhile import what they will need.

        Raises
        ------
        TuningError
            If none of a few configurations can be built and scored.
        """
        task = _probe.remote(self._problem_ref, self._data_ref, self._seed, self._backend)
        for _ in range(self._cluster.workers - 1):
            _report_threads.remote(self._backend)
        try:
            found: worker.Probe = ray.get(task)
        except ray.exceptions.RayError as error:
            raise TuningError(
                f"no model of problem {self._problem.name!r} can be tried: {_ray_error(error)}"
            ) from error
        if found.error:
            raise TuningError(
                f"no model of problem {self._problem.name!r} can be trained: {found.error}"
            )
        return found

    def thread_report(self) -> dict[str, Any]:
        """What a worker's libraries say of their threads."""
        report: dict[str, Any] = ray.get(_report_threads.remote(self._backend))
        return report

    def train(self, trials: list[int]) -> list[Outcome]:
        """Train these trials and return their outcomes in the same order; nothing is counted."""
        tasks = [self._submit(trial) for trial in trials]
        return [
            _outcome(task, trial, self._seed, self._backend)
            for task, trial in zip(tasks, trials, strict=True)
        ]

    def search(self, samplers: Mapping[str, Sampler], run: Run, progress: Progress) -> None:
        """Train what the samplers ask for and the run does not have, and count it there.

        A trial that two strategies ask for is trained once and counted for both.

        Parameters
        ----------
        samplers : mapping of str to Sampler
            By the name of the strategy.
        run : Run
        progress : Progress

        Raises
        ------
        RunStopped
            If the results cannot be written.
        """
        plan = _Plan(samplers, run, self._work)
        in_flight: dict[Any, int] = {}
        while True:
            plan.refill(progress)
            while plan.queue and len(in_flight) < self._cluster.in_flight:
                trial = plan.next()
                in_flight[self._submit(trial)] = trial
            if not in_flight:
                return
            ready, _ = ray.wait(list(in_flight), num_returns=1)
            ready, _ = ray.wait(list(in_flight), num_returns=len(in_flight), timeout=0)
            outcomes = [
                _outcome(task, in_flight.pop(task), self._seed, self._backend) for task in ready
            ]
            plan.count(outcomes, progress)

    def _submit(self, trial: int) -> Any:
        return _train.remote(self._problem_ref, self._data_ref, trial, self._seed, self._backend)

    def _work(self, trial: int) -> Work:
        return work(self._problem.grid[trial], self._n_train)


class _Plan:
    """The trials that wait, longest first, and who asked for each."""

    def __init__(
        self, samplers: Mapping[str, Sampler], run: Run, work_of: Callable[[int], Work]
    ) -> None:
        self.queue: list[tuple[int, int]] = []
        self._samplers = samplers
        self._run = run
        self._work_of = work_of
        self._asked = dict.fromkeys(samplers, 0)
        self._finished: set[str] = set()
        self._wanted_by: dict[int, list[tuple[str, int]]] = {}

    def refill(self, progress: Progress) -> None:
        """Ask the samplers for more, if there is room; what is counted already stays so."""
        copies: dict[int, list[tuple[str, int]]] = {}
        kept = 0
        for strategy, sampler in self._samplers.items():
            while strategy not in self._finished and len(self.queue) < HORIZON:
                trials = sampler.ask(HORIZON - len(self.queue))
                if not trials:
                    self._finished.add(strategy)
                for trial in trials:
                    asker = (strategy, self._asked[strategy])
                    self._asked[strategy] += 1
                    if trial in self._run.done.get(strategy, ()):
                        kept += 1
                    elif trial in self._wanted_by:
                        self._wanted_by[trial].append(asker)
                    elif any(trial in done for done in self._run.done.values()):
                        copies.setdefault(trial, []).append(asker)
                    else:
                        self._wanted_by[trial] = [asker]
                        work = self._work_of(trial)
                        heapq.heappush(self.queue, (-work.steps, trial))
                        progress.planned(work)
        if kept or copies:
            progress.kept(kept + self._run.copy(copies))

    def next(self) -> int:
        """The longest trial that waits."""
        return heapq.heappop(self.queue)[1]

    def count(self, outcomes: list[Outcome], progress: Progress) -> None:
        """Write the outcomes' rows, then tell the samplers and the progress."""
        rows, curves, told = [], [], []
        for outcome in outcomes:
            mine = self._run.rows(outcome, self._wanted_by[outcome.trial])
            rows += mine
            curves += [(row, outcome.curve) for row in mine]
            told.append((outcome, mine))
        self._run.append(rows, curves)
        for outcome, mine in told:
            del self._wanted_by[outcome.trial]
            progress.finished(outcome, self._work_of(outcome.trial), mine)
        for strategy in {row["strategy"] for row in rows}:
            heard = [row for row in rows if row["strategy"] == strategy]
            self._samplers[strategy].tell(heard)


def _outcome(task: Any, trial: int, seed: int, backend: str) -> Outcome:
    """The task's outcome; a worker that cannot give one has failed the trial."""
    try:
        outcome: Outcome = ray.get(task)
        return outcome
    except ray.exceptions.RayError as error:
        return Outcome(trial, seed, "failed", "fit", backend, error=_ray_error(error), worker="")


def _ray_error(error: ray.exceptions.RayError) -> str:
    if isinstance(error, ray.exceptions.RayTaskError) and error.cause is not None:
        return first_line(error.cause)
    if isinstance(error, ray.exceptions.WorkerCrashedError):
        return f"its worker process died, {RETRIES + 1} times"
    return first_line(error)
