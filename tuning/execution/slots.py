"""Which worker process trains which pack, and what follows when a process dies."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuning.engines.keeping import Keep
from tuning.engines.reports import Report
from tuning.errors import RunStopped, TuningError
from tuning.execution import worker
from tuning.execution.loop import Heard
from tuning.execution.worker import Job, Probe, StateSize, Told
from tuning.packing.axes import Packing
from tuning.packing.packs import Pack, Packer
from tuning.problem.data import Data, n_samples
from tuning.problem.problem import Problem
from tuning.trial import Outcome, Status, Trial

ENDED = "its process ended without a word"
IN_FLIGHT = 4  # packs a process; with 2, trials that train nothing took half as long again
RETRIES = 2  # of a trial whose worker or node died while it trained nothing else
MEMORY_RETRIES = 1  # of a trial that took too much: perhaps what its worker had kept was in it
IDLE_SECONDS = 10.0  # after which a process gives its CPU back, where others may use it
QUICK_SECONDS = 0.1  # a pack that took less: the next is sent ahead, so that none is waited for
SENT_AHEAD = 4  # packs that a process has at once where they are quick
REMEMBERED = 8  # programs of a process: it may have them compiled still
PAUSED_BYTES = 2**30  # of trainings that can go on; beyond, the oldest are trained again


@dataclass(eq=False)
class Death(Exception):
    """A process ended, or failed, while it did what it was asked for.

    Attributes
    ----------
    said : str
        How, as one line.
    alive : bool
        Whether the process goes on.
    own : bool
        Whether the pack would fail again.
    stops : bool
        Whether it is no trial's fault, and would fail every pack.
    missing : str
        The package that it lacks, if that is why.
    """

    said: str
    alive: bool = False
    own: bool = False
    stops: bool = False
    missing: str = ""


@dataclass(eq=False)
class Task:
    """A pack that a process trains, or has next.

    Attributes
    ----------
    pack : Pack
    keep : Keep, optional
    attempt : int
        Its number among all.
    missing : dict of key to Trial
        The trials whose outcomes were not told yet, in the order of the pack.
    stream : object
        What its process tells of it.
    begun : float
        When it was the first of its process, on the monotonic clock.
    """

    pack: Pack
    keep: Keep | None
    attempt: int
    missing: dict[Hashable, Trial]
    stream: Any = None
    begun: float = 0.0


@dataclass(eq=False)
class Slot:
    """A place for a worker process, and the process in it.

    Attributes
    ----------
    process : object, optional
        None until it is started.
    pending : object, optional
        What is ready once the process can train; None if it can.
    deaths : int
        Processes in a row that ended before they could train.
    tasks : deque of Task
        The first of them trains.
    programs : list
        Those trained last, the latest at the end.
    idle : float
        Since when it trains nothing, on the monotonic clock, if it does not.
    quick : bool
        Whether the last pack took so little time that the next had better be sent ahead.
    """

    process: Any = None
    pending: Any = None
    deaths: int = 0
    tasks: deque[Task] = field(default_factory=deque)
    programs: list[Hashable] = field(default_factory=list)
    quick: bool = False
    idle: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether its process can train."""
        return self.process is not None and self.pending is None

    def trains(self, program: Hashable) -> None:
        """Note the program that it has from now on."""
        self.programs = [*(each for each in self.programs if each != program), program]
        del self.programs[:-REMEMBERED]


class States:
    """The states of paused trainings, the oldest of which are dropped beyond a number of bytes.

    Parameters
    ----------
    most : int
        Bytes.
    """

    def __init__(self, most: int = PAUSED_BYTES) -> None:
        self._most = most
        self._states: dict[Hashable, tuple[StateSize, Any]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._states)

    def remember(self, size: StateSize, state: Any) -> None:
        """Remember a training's state, in place of an earlier one.

        Parameters
        ----------
        size : StateSize
        state : object
            The state itself, or what a worker finds it by.
        """
        self.forget(size.training)
        self._states[size.training] = size, state
        self._bytes += size.bytes
        while self._bytes > self._most:
            self.forget(next(iter(self._states)))

    def forget(self, training: Hashable) -> None:
        """Drop a training's state, if there is one."""
        if found := self._states.pop(training, None):
            self._bytes -= found[0].bytes

    def of(self, pack: Pack, packing: Packing) -> dict[Hashable, Any]:
        """The states from which trainings of a pack can go on."""
        found = {}
        for trial in pack.trials:
            known = self._states.get(training := packing.trajectory_of(trial))
            if trial.since and known and known[0].epochs <= trial.epochs:
                found[training] = known[1]
        return found

    def follow(self, report: Report, packing: Packing) -> None:
        """Drop the states of trainings that have ended."""
        for outcome in report.outcomes:
            if outcome.status != "stopped":
                self.forget(packing.trajectory_of(outcome.trial))


class SlotExecutor(ABC):
    """Trains packs in processes that are kept: what is the same for all kinds of processes.

    A pack goes to a process that had its program before, if there is a free one. When a process
    dies, what its pack had not finished comes back as two halves; a trial that ended its process
    several times alone comes to an outcome that says so. A training that was paused goes on from
    its state, wherever it is trained next; if the state is lost, with its node or because there
    were more than `PAUSED_BYTES`, it is trained from its beginning, to the same outcome.

    Parameters
    ----------
    problem : Problem
    job : Job
        What is the same for all that the workers do; how configurations share programs is found by
        `probe`.
    engine : {"auto", "fit"}
        Whether to pack what shares a program.
    slots : int
        Processes that train at once.
    most : int
        Packs to take at once.

    Attributes
    ----------
    states : States
    """

    def __init__(self, problem: Problem, job: Job, *, engine: str, slots: int, most: int) -> None:
        self._problem = problem
        self._job = job
        self._may_pack = engine == "auto"
        self._most = most
        self._n_train = 0
        self._attempts = itertools.count()
        self._waiting: deque[tuple[Pack, Keep | None]] = deque()
        self._slots = [Slot() for _ in range(slots)]
        self._deadline = math.inf
        self._gives_back = False
        self.states = States()

    def load(self, data: Data) -> None:
        """Give the problem's data, checked, to all workers."""
        self._n_train = n_samples(data["train"])
        self._share(data)

    def probe(self, known: Packing | None = None) -> Probe:
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
        except Death as death:
            if death.missing:
                raise TuningError(
                    f"a worker lacks the package {death.missing!r}, which has to be on every node"
                ) from death
            raise TuningError(
                f"no model of problem {self._problem.name!r} can be tried: {death.said}"
            ) from death
        self._job = worker.after_probe(self._problem, self._job, found)
        return found

    def thread_report(self) -> dict[str, Any]:
        """The numbers of threads that a worker's libraries report."""
        while not any(slot.ready for slot in self._slots):
            self._start_all()
            pending = {slot.pending: slot for slot in self._slots}
            for each in self._wait(list(pending), None):
                self._came(pending[each])
        process = next(slot.process for slot in self._slots if slot.ready)
        report: dict[str, Any] = self._result(self._call(process, "thread_report", self._job))
        return report

    @property
    def packing(self) -> Packing:
        """The kinds of axes and programs that `probe` has found."""
        return self._job.packing

    @property
    def workers(self) -> int:
        """Trials that train at once."""
        return len(self._slots)

    @property
    def packer(self) -> Packer:
        """The packer, which splits trials into packs; to be used after `probe`."""
        return Packer(self.packing, self._n_train, self.workers)

    @property
    def free(self) -> int:
        """The number of packs that it can take now."""
        return self._most - len(self._waiting) - sum(len(slot.tasks) for slot in self._slots)

    @property
    def busy(self) -> bool:
        """Whether it has packs that have not ended."""
        return bool(self._waiting) or any(slot.tasks for slot in self._slots)

    @property
    def clock(self) -> float:
        """Seconds by which the time of a search is counted."""
        return time.monotonic()

    def submit(self, pack: Pack, keep: Keep | None = None) -> None:
        """Begin to train a pack, once a process is free."""
        self._waiting.append((pack, keep))
        self._dispatch()

    def stop_at(self, seconds: float | None) -> None:
        """Have what is submitted from now on stop its trainings at a time.

        What trains then stops at its next epoch's end. Packs that have not begun come back as
        ended, without outcomes.

        Parameters
        ----------
        seconds : float, optional
            From now; None for no such time.
        """
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds

    def cancel(self) -> None:
        """End at once what trains and what waits; nothing comes of it."""
        self._waiting.clear()
        for slot in self._slots:
            if slot.tasks:
                slot.tasks.clear()
                self._empty(slot)

    def close(self) -> None:
        """End all processes."""
        self._waiting.clear()
        for slot in self._slots:
            slot.tasks.clear()
            self._empty(slot)

    def hear(self) -> list[Heard]:
        """Wait for news of at least one pack."""
        heard = self._overdue()
        while not heard:
            self._grow()
            self._dispatch()
            self._give_back()
            told_by: dict[Any, Slot] = {
                task.stream: slot for slot in self._slots for task in slot.tasks
            }
            pending = {slot.pending: slot for slot in self._slots if slot.pending is not None}
            news = set(self._wait([*told_by, *pending], self._patience))
            for slot in [pending[each] for each in news if each in pending]:
                self._came(slot)
            for slot in dict.fromkeys(told_by[each] for each in news if each in told_by):
                while slot.tasks and slot.tasks[0].stream in news:
                    news.discard(slot.tasks[0].stream)
                    heard.append(self._hear_from(slot))
            heard += self._overdue()
        return heard

    @abstractmethod
    def _share(self, data: Data) -> None:
        """Copy the data to where all workers read it."""

    @abstractmethod
    def _start(self) -> tuple[Any, Any]:
        """Start a process: the process, and what is ready once it can train."""

    @abstractmethod
    def _end(self, process: Any) -> None:
        """End a process, whatever it does."""

    @abstractmethod
    def _call(self, process: Any, method: str, *what: Any, **options: Any) -> Any:
        """Have a process do something else than train: what is ready once it has."""

    @abstractmethod
    def _result(self, pending: Any) -> Any:
        """The result of what a process has done, or is to do yet.

        Raises
        ------
        Death
            If the process is not there any more, or it failed.
        """

    @abstractmethod
    def _searched(self) -> tuple[Any, ...]:
        """The problem and its data, as a process is given them."""

    @abstractmethod
    def _train(self, process: Any, task: Task, options: dict[str, Any]) -> Any:
        """Have a process train a task's pack, after what it has already; what it tells of it."""

    @abstractmethod
    def _wait(self, streams: Sequence[Any], seconds: float | None) -> list[Any]:
        """Wait until at least one of what processes tell has news; all that have."""

    @abstractmethod
    def _read(self, stream: Any) -> tuple[Told | None, list[Any]]:
        """The news, and the states that came with it; None after the last.

        Raises
        ------
        Death
            If the process is not there any more, or the pack failed.
        """

    @abstractmethod
    def _heard_of(self, task: Task) -> tuple[float, str]:
        """The seconds that a task trained before its process died, and why, if there are limits."""

    def _grow(self) -> None:  # noqa: B027  a machine has as many CPUs as it had
        """Make room for more processes, if there is now."""

    def _look(self, packs: bool, known: Packing | None = None) -> Probe:
        """Have the workers that can train look at models, each along its share of the axes.

        What is known already each sees by itself; the first says whether it holds.
        """
        n = len(worker.shares(self._problem.space, len(self._slots))) if packs else 1
        left = deque(range(n))
        looks: dict[Any, int] = {}
        found: dict[int, Probe] = {}
        deaths = 0
        while len(found) < n:
            self._start_all()
            for slot in self._slots:
                if slot.ready and left:
                    share = left.popleft(), n
                    what = *self._searched(), self._job, packs, share
                    slot.pending = self._call(slot.process, "probe", *what, known=known)
                    looks[slot.pending] = share[0]
            pending = {slot.pending: slot for slot in self._slots if slot.pending is not None}
            for each in self._wait(list(pending), None):
                slot = pending[each]
                if each not in looks:
                    self._came(slot)
                    continue
                try:
                    probe: Probe = self._result(each)
                except Death as death:
                    deaths += 1
                    if death.alive or (deaths > RETRIES and not packs):
                        raise
                    if deaths > RETRIES:
                        return self._look_unpacked()
                    left.append(looks.pop(each))
                    self._empty(slot)
                    continue
                slot.pending = None
                found[looks.pop(each)] = probe
                if probe.error or probe.packing.reason or known is not None:
                    return probe
        return worker.joined([found[i] for i in range(n)], self._problem.space)

    def _look_unpacked(self) -> Probe:
        """A look at one model, after looks at several have ended workers."""
        reason = "building its models ended a worker"
        return dataclasses.replace(self._look(packs=False), packing=Packing(reason=reason))

    def _start_all(self) -> None:
        """Start a process in each slot that has none."""
        for slot in self._slots:
            if slot.process is None:
                slot.process, slot.pending = self._start()

    def _can_train(self, pending: Any) -> bool:
        """Whether a process that was started can train; otherwise it is dead."""
        try:
            self._result(pending)
        except Death as death:  # if it lives, what it trains will say how it failed
            return death.alive
        return True

    @property
    def _patience(self) -> float | None:
        """The seconds after which to look at other things than news."""
        if self._waiting:
            left = self._deadline - time.monotonic()
            return max(0.0, left) if left < math.inf else None
        idle = any(slot.ready and not slot.tasks for slot in self._slots)
        return IDLE_SECONDS if self._gives_back and idle else None

    def _give_back(self) -> None:
        """End processes that have trained nothing for a while, if others may use their CPUs."""
        late = time.monotonic() - IDLE_SECONDS
        for slot in self._slots if self._gives_back and not self._waiting else ():
            if slot.ready and not slot.tasks and slot.idle < late:
                self._empty(slot)

    def _overdue(self) -> list[Heard]:
        """The packs that have not begun, if it is too late for them."""
        if time.monotonic() < self._deadline:
            return []
        packs = [pack for pack, _ in self._waiting]
        self._waiting.clear()
        return [Heard(pack, Report(), ended=True) for pack in packs]

    def _dispatch(self) -> None:
        """Start processes where there are none, and give them packs."""
        coming = sum(slot.process is not None and not slot.tasks for slot in self._slots)
        for slot in self._slots:
            if coming < len(self._waiting) and slot.process is None:
                slot.process, slot.pending = self._start()
                coming += 1
        while self._waiting and (free := self._free_slot()):
            place = self._place_for(free)
            pack, keep = self._waiting[place]
            del self._waiting[place]
            self._begin(free, pack, keep)

    def _free_slot(self) -> Slot | None:
        """The slot that takes a pack next: one that has the program of a pack that waits, if any.

        Otherwise one of the fewest programs. A process that has packs already takes another where
        they are quick.
        """
        ready = [slot for slot in self._slots if slot.ready]
        wanted = {pack.program for pack, _ in self._waiting} - {None}

        def has(slot: Slot) -> bool:
            return bool(wanted.intersection(slot.programs))

        if idle := [slot for slot in ready if not slot.tasks]:
            return max(idle, key=lambda each: (has(each), -len(each.programs)))
        if math.isinf(self._deadline) and not self._waiting[0][0].pauses:
            quick = [slot for slot in ready if slot.quick and len(slot.tasks) < SENT_AHEAD]
            return min(quick, key=lambda slot: len(slot.tasks), default=None)
        return None

    def _place_for(self, slot: Slot) -> int:
        """The place, among those that wait, of the pack for a slot.

        The first whose program it has; or that no other has; or the first.
        """
        programs = [pack.program for pack, _ in self._waiting]
        own = [i for i, each in enumerate(programs) if each is not None and each in slot.programs]
        others = {program for other in self._slots for program in other.programs}
        new = [i for i, each in enumerate(programs) if each not in others]
        return (own or new or [0])[0]

    def _begin(self, slot: Slot, pack: Pack, keep: Keep | None) -> None:
        """Have a slot's process train a pack."""
        options: dict[str, Any] = {}
        if going_on := self.states.of(pack, self.packing):
            options["going_on"] = going_on
        if pack.pauses:
            options["pauses"] = True
        if (left := self._deadline - time.monotonic()) < math.inf:
            options["seconds"] = max(0.0, left)
        missing = {trial.key: trial for trial in pack.trials}
        task = Task(pack, keep, next(self._attempts), missing, begun=time.monotonic())
        task.stream = self._train(slot.process, task, options)
        slot.tasks.append(task)
        slot.trains(pack.program)

    def _came(self, slot: Slot) -> None:
        """A process can train, or has died before; after a few, the next pack says why."""
        if self._can_train(slot.pending):
            slot.pending, slot.deaths, slot.idle = None, 0, time.monotonic()
            return
        slot.deaths += 1
        if slot.deaths > RETRIES:
            slot.pending = None
        else:
            self._empty(slot)

    def _empty(self, slot: Slot) -> None:
        """End a slot's process; packs that it had next wait again, at their turn."""
        if slot.process is not None:
            self._end(slot.process)
        self._waiting.extendleft((task.pack, task.keep) for task in reversed(slot.tasks))
        slot.tasks.clear()
        slot.programs.clear()
        slot.process, slot.pending, slot.quick = None, None, False

    def _hear_from(self, slot: Slot) -> Heard:
        """The next report of what a slot trains."""
        task, again = slot.tasks[0], list[Pack]()
        try:
            told, states = self._read(task.stream)
            if told is None and task.missing:
                raise Death(ENDED)
        except Death as death:
            if death.stops:
                raise RunStopped(death.said) from death
            slot.tasks.popleft()
            report, again = self._after_death(task, death)
            if not death.alive:
                self._empty(slot)
            return Heard(task.pack, report, True, again)
        report = Report() if told is None else told.report
        for outcome in report.outcomes:
            del task.missing[outcome.trial.key]
        self.states.follow(report, self.packing)
        if told is not None:
            for size, state in zip(told.states, states, strict=False):
                self.states.remember(size, state)
        ended = told is None or not (task.missing or task.pack.pauses)
        if ended:
            self._next(slot)
        return Heard(task.pack, report, ended)

    @staticmethod
    def _next(slot: Slot) -> None:
        """A slot's first task has ended."""
        now = time.monotonic()
        slot.quick = now - slot.tasks.popleft().begun < QUICK_SECONDS
        slot.idle = now
        if slot.tasks:
            slot.tasks[0].begun = now

    def _after_death(self, task: Task, death: Death) -> tuple[Report, list[Pack]]:
        """The report to give of a task whose process died, and the packs to train in its place."""
        pack, missing = task.pack, list(task.missing.values())
        seconds, reason = self._heard_of(task) if self._job.limits else (0.0, "")
        if not missing:  # it was all told but the states
            return Report(), []
        if len(pack.trials) > 1:
            half = math.ceil(len(missing) / 2)
            parts = missing[:half], missing[half:]
            return Report(), [self._part(pack, trials) for trials in parts if trials]
        if seconds >= (limit := self._job.limits.seconds or math.inf):
            said = f"it took longer than the {limit:g} s that a trial may take"
            return self._lost(pack, said, seconds, "timeout"), []
        if death.own:
            return self._lost(pack, death.said, seconds), []
        deaths = pack.deaths + 1
        if deaths <= (MEMORY_RETRIES if reason else RETRIES):
            return Report(), [dataclasses.replace(pack, deaths=deaths)]
        return self._lost(pack, reason or f"{death.said}, {deaths} times", seconds), []

    def _part(self, pack: Pack, trials: list[Trial]) -> Pack:
        """Some of a pack's trials as a pack."""
        return dataclasses.replace(self.packer.pack(trials), pauses=pack.pauses)

    def _lost(self, pack: Pack, said: str, seconds: float, status: Status = "failed") -> Report:
        """The report for a trial whose process died before it could report."""
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
