"""The Ray loop: ask the samplers, submit trials, collect their rows."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuning.engines.reports import Report
from tuning.errors import RunStopped, TuningError, first_line, shortened
from tuning.execution import worker
from tuning.execution.cluster import Cluster
from tuning.execution.limits import Limits
from tuning.packing.axes import Packing
from tuning.problem.data import Data, n_samples
from tuning.problem.problem import Problem, Work, work
from tuning.runs.run import Run
from tuning.samplers import Sampler
from tuning.space.grid import Row
from tuning.trial import Outcome, Status

HORIZON = 100_000  # trials planned ahead, so that programs are whole and the longest goes first
RETRIES = 2  # of a trial whose worker or node died while it trained nothing else
MEMORY_RETRIES = 1  # of a trial that took too much: perhaps what its worker had kept was in it
LARGEST_PACK = 64  # trajectories; what a dying worker can lose

_train = ray.remote(num_cpus=1, max_retries=0)(worker.train)  # the driver knows better than Ray
_probe = ray.remote(num_cpus=1, max_retries=RETRIES)(worker.probe)
_report_threads = ray.remote(num_cpus=1)(worker.thread_report)
_Witness = ray.remote(num_cpus=0)(worker.Witness)


@dataclass(frozen=True, eq=False)
class Pack:
    """Trials that one task trains.

    Attributes
    ----------
    trials : list of int
    work : Work
        Of its trajectories: shorter trainings are in the longer ones.
    deaths : int
        How often a worker has died of it, or with it.
    """

    trials: list[int]
    work: Work
    deaths: int = 0


@dataclass
class _Task:
    """A pack that was submitted.

    Attributes
    ----------
    reports : ray.ObjectRefGenerator
        What its worker tells of it.
    pack : Pack
    attempt : int
        What the witness knows it by.
    missing : dict of int to None
        The trials whose outcomes were not told yet, in the order of the pack.
    again : list of Pack
        To train in its place, once it has ended.
    ended : bool
    """

    reports: Any
    pack: Pack
    attempt: int
    missing: dict[int, None]
    again: list[Pack] = field(default_factory=list)
    ended: bool = False


def untrainable(problem: Problem, backend: str, error: str) -> str:
    """What is said of a problem none of whose models trains."""
    why = shortened(error, 200)
    return f"no model of problem {problem.name!r} can be trained on {backend}: {why}"


class Progress(Protocol):
    """Who is told how the search goes."""

    def planned(self, pack: Pack) -> None:
        """A pack was planned."""
        ...

    def trained(self, pack: Pack, report: Report, counted: list[tuple[Outcome, list[Row]]]) -> None:
        """A worker reported of a pack, and each outcome's rows were counted."""
        ...

    def ended(self, pack: Pack) -> None:
        """Nothing more comes of a pack: it was trained, or its worker died."""
        ...

    def kept(self, rows: int) -> None:
        """So many rows were there without training."""
        ...


class Driver:
    """Trains trials of one problem with one seed on a running Ray.

    Parameters
    ----------
    problem : Problem
    seed : int
    engine : {"auto", "fit"}
        Whether to pack what shares a program.
    backend : {"tensorflow", "jax", "torch"}
        What Keras runs on.
    cluster : Cluster
    cache : str, optional
        Where the workers keep compiled programs.
    limits : Limits
        What a trial may take.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        engine: str,
        backend: str,
        cluster: Cluster,
        cache: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._job = worker.Job(seed, backend, cache, limits=limits or Limits())
        self._witness = _new_witness() if limits else None
        self._attempts = itertools.count()
        self._may_pack = engine == "auto"
        self._problem = problem
        self._cluster = cluster
        self._n_train = 0
        self._data_ref: Any = None
        self._problem_ref = ray.put(problem)
        for _ in range(cluster.workers):  # they import what they need while the data is loaded
            _report_threads.remote(self._job)

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
        if found.error:
            raise TuningError(untrainable(self._problem, self._job.backend, found.error))
        self._job = dataclasses.replace(
            self._job, packing=found.packing, environment=found.environment
        )
        return found

    def _look(self, packs: bool) -> worker.Probe:
        look = (self._problem_ref, self._data_ref, self._job, packs)
        tasks = [_probe.remote(*look) for _ in range(self._cluster.workers)]
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
        """How configurations share programs, once `probe` has looked."""
        return self._job.packing

    def thread_report(self) -> dict[str, Any]:
        """What a worker's libraries say of their threads."""
        report: dict[str, Any] = ray.get(_report_threads.remote(self._job))
        return report

    def train(self, trials: list[int]) -> list[Outcome]:
        """Train these trials and return their outcomes in the same order; nothing is counted."""
        packs = self._pack(trials)
        outcomes = {}
        while packs:
            tasks = [self._submit(pack) for pack in packs]
            packs = []
            for task in tasks:
                while not task.ended:
                    outcomes.update({each.trial: each for each in self._hear(task).outcomes})
                packs += task.again
        return [outcomes[trial] for trial in trials]

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
        plan = _Plan(samplers, run, self._pack)
        in_flight: dict[Any, _Task] = {}
        while True:
            plan.refill(progress)
            while plan.queue and len(in_flight) < self._cluster.in_flight:
                task = self._submit(plan.next())
                in_flight[task.reports] = task
            if not in_flight:
                return
            ready, _ = ray.wait(list(in_flight), num_returns=1)
            ready, _ = ray.wait(list(in_flight), num_returns=len(in_flight), timeout=0)
            heard = [(in_flight[reports], self._hear(in_flight[reports])) for reports in ready]
            plan.count([(task.pack, report) for task, report in heard], progress)
            for task, _ in heard:
                if task.ended:
                    del in_flight[task.reports]
                    progress.ended(task.pack)
                    plan.add(task.again, progress)

    def _submit(self, pack: Pack) -> _Task:
        attempt = next(self._attempts)
        refs = self._problem_ref, self._data_ref
        return _Task(
            _train.remote(*refs, pack.trials, self._job, attempt=attempt, witness=self._witness),
            pack,
            attempt,
            dict.fromkeys(pack.trials),
        )

    def _hear(self, task: _Task) -> Report:
        """What is told of a task next, waiting for it."""
        try:
            report: Report = ray.get(next(task.reports))
        except ray.exceptions.LocalRayletDiedError:  # no trial's fault
            raise
        except ray.exceptions.RayError as error:
            report, task.again = self._after_death(task, error)
            task.ended = True
        for outcome in report.outcomes:
            del task.missing[outcome.trial]
        task.ended |= not task.missing
        return report

    def _after_death(
        self, task: _Task, error: ray.exceptions.RayError
    ) -> tuple[Report, list[Pack]]:
        """What is to be said of a task whose worker died, and the packs to train in its place."""
        if isinstance(cause := getattr(error, "cause", None), TuningError):
            raise RunStopped(str(cause)) from error  # it is no trial's fault
        pack, missing = task.pack, list(task.missing)
        seconds, testimony = self._heard_of(task)
        if len(pack.trials) > 1:
            half = math.ceil(len(missing) / 2)
            parts = missing[:half], missing[half:]
            return Report(), [self._pack_one(trials) for trials in parts if trials]
        if seconds >= (limit := self._job.limits.seconds or math.inf):
            said = f"it took longer than the {limit:g} s that a trial may take"
            return self._lost(pack, said, seconds, "timeout"), []
        own = isinstance(error, ray.exceptions.RayTaskError)
        if own and not isinstance(error.cause, ray.exceptions.RayError):  # it would again
            return self._lost(pack, _ray_error(error), seconds), []
        deaths = pack.deaths + 1
        if deaths <= (MEMORY_RETRIES if testimony else RETRIES):
            return Report(), [dataclasses.replace(pack, deaths=deaths)]
        return self._lost(pack, testimony or f"{_ray_error(error)}, {deaths} times", seconds), []

    def _lost(self, pack: Pack, said: str, seconds: float, status: Status = "failed") -> Report:
        """What is said of a trial whose worker did not tell its outcome."""
        outcome = Outcome(
            pack.trials[0],
            self._job.seed,
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
        if self._witness is None:
            return 0.0, ""
        try:
            heard: tuple[float, str] = ray.get(self._witness.end.remote(task.attempt))
        except ray.exceptions.RayError:  # it has died, too
            self._witness = _new_witness()
            return 0.0, ""
        return heard

    def _pack(self, trials: Iterable[int]) -> list[Pack]:
        return _packs(self._problem, trials, self.packing, self._n_train, self._cluster.workers)

    def _pack_one(self, trials: list[int]) -> Pack:
        return _pack_of(self._problem, trials, self.packing, self._n_train)


def _new_witness() -> Any:
    """A witness on the driver's own node, which lives as long as the driver does."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return _Witness.options(scheduling_strategy=here).remote()


class _Plan:
    """The packs that wait, longest first, and who asked for each trial."""

    def __init__(
        self,
        samplers: Mapping[str, Sampler],
        run: Run,
        pack: Callable[[Iterable[int]], list[Pack]],
    ) -> None:
        self.queue: list[tuple[float, int, int, Pack]] = []
        self._samplers = samplers
        self._run = run
        self._pack = pack
        self._asked = dict.fromkeys(samplers, 0)
        self._finished: set[str] = set()
        self._wanted_by: dict[int, list[tuple[str, int]]] = {}

    def refill(self, progress: Progress) -> None:
        """Ask the samplers for more, if there is much room; what is counted already stays so."""
        if len(self._wanted_by) > HORIZON // 2:
            return
        copies: dict[int, list[tuple[str, int]]] = {}
        new: dict[int, None] = {}
        kept = 0
        for strategy, sampler in self._samplers.items():
            while strategy not in self._finished and len(self._wanted_by) < HORIZON:
                trials = sampler.ask(HORIZON - len(self._wanted_by))
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
                        new[trial] = None
        self.add(self._pack(new) if new else [], progress)
        if kept or copies:
            progress.kept(kept + self._run.copy(copies))

    def next(self) -> Pack:
        """The longest pack that waits."""
        return heapq.heappop(self.queue)[-1]

    def count(self, heard: list[tuple[Pack, Report]], progress: Progress) -> None:
        """Write the outcomes' rows, then tell the samplers and the progress."""
        counted = [
            [(each, self._run.rows(each, self._wanted_by.pop(each.trial))) for each in new.outcomes]
            for _, new in heard
        ]
        each = [(outcome, row) for pack in counted for outcome, mine in pack for row in mine]
        rows = [row for _, row in each]
        if rows:
            self._run.append(rows, [(row, outcome.curve) for outcome, row in each])
        for (pack, report), mine in zip(heard, counted, strict=True):
            progress.trained(pack, report, mine)
        for strategy in dict.fromkeys(row["strategy"] for row in rows):
            self._samplers[strategy].tell([row for row in rows if row["strategy"] == strategy])

    def add(self, packs: list[Pack], progress: Progress) -> None:
        """Have packs wait."""
        for pack in packs:
            # Equals in no order: neighbours are alike; the time left is learnt from all kinds.
            scattered = pack.trials[0] * 2_654_435_761 % 2**32
            heapq.heappush(self.queue, (-pack.work.seconds, scattered, pack.trials[0], pack))
            progress.planned(pack)


def _packs(
    problem: Problem,
    trials: Iterable[int],
    packing: Packing,
    n_train: int,
    workers: int,
) -> list[Pack]:
    """The trials in packs: whole programs while there are many, the last ones in parts.

    Every pack costs a start, but all workers shall end at about one time. So none is longer than
    the worker's share of what is left: guided self-scheduling, Polychronopoulos and Kuck, IEEE
    Transactions on Computers C-36 (1987).
    """
    if packing.reason:
        return [_pack_of(problem, [trial], packing, n_train) for trial in trials]
    programs: dict[Any, dict[Any, list[int]]] = {}
    for trial in trials:
        configuration = problem.grid[trial]
        trajectories = programs.setdefault(packing.program(configuration), {})
        trajectories.setdefault(packing.trajectory(configuration), []).append(trial)

    def pack(groups: list[list[int]]) -> Pack:
        return _pack_of(problem, [t for group in groups for t in group], packing, n_train)

    each = [list(trajectories.values()) for trajectories in programs.values()]
    whole = [(pack(groups), groups) for groups in each]
    left = sum(program.work.seconds for program, _ in whole)
    packs = []
    for program, groups in sorted(whole, key=lambda each: -each[0].work.seconds):
        parts = math.ceil(round(program.work.seconds * workers / left, 6))
        parts = max(min(parts, len(groups)), math.ceil(len(groups) / LARGEST_PACK))
        if parts == 1:
            packs.append(program)
        else:
            cuts = [i * len(groups) // parts for i in range(parts + 1)]
            packs += [pack(groups[start:end]) for start, end in itertools.pairwise(cuts)]
        left -= program.work.seconds
    return packs


def _pack_of(problem: Problem, trials: list[int], packing: Packing, n_train: int) -> Pack:
    """These trials as one pack, whose work is that of its trajectories."""
    longest: dict[Any, Work] = {}
    for trial in trials:
        configuration = problem.grid[trial]
        key = trial if packing.reason else packing.trajectory(configuration)
        own = work(configuration, n_train, packing.size(configuration))
        longest[key] = max(longest.get(key, own), own, key=lambda each: each.epochs)
    each = longest.values()
    return Pack(trials, Work(sum(w.seconds for w in each), sum(w.epochs for w in each)))


def _ray_error(error: ray.exceptions.RayError) -> str:
    if isinstance(error, ray.exceptions.RayTaskError) and error.cause is not None:
        return first_line(error.cause)
    if isinstance(error, ray.exceptions.WorkerCrashedError):
        return "its worker process died"
    return first_line(error)
