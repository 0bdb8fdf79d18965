"""The loop: ask the samplers, have an executor train, count the outcomes, tell the samplers."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tuning.budget import Budget, Course
from tuning.engines.keeping import Keep
from tuning.engines.reports import Report
from tuning.errors import TuningError, first_line
from tuning.packing.packs import Pack, Packer
from tuning.samplers import FINISHED, Sampler
from tuning.samplers.protocol import LOSS, Goal, Signal
from tuning.trial import KeptModel, Outcome, Spent, Trial

HORIZON = 100_000  # trials planned ahead, so that programs are whole and the longest goes first

Counted = tuple[str, Outcome]
"""An outcome as a strategy has it: with the trial as that strategy asked for it."""


@dataclass(frozen=True)
class Heard:
    """News of a pack, from an executor.

    Attributes
    ----------
    pack : Pack
    report : Report
    ended : bool
        Whether nothing more comes of it.
    again : list of Pack
        To train in its place, once it has ended.
    """

    pack: Pack
    report: Report
    ended: bool = False
    again: list[Pack] = field(default_factory=list)


class Executor(Protocol):
    """Trains packs: `ProcessExecutor`, `RayExecutor`, `LocalExecutor` or `TableExecutor`."""

    @property
    def free(self) -> int:
        """The number of packs that it can take now."""
        ...

    @property
    def busy(self) -> bool:
        """Whether it has packs that have not ended."""
        ...

    @property
    def clock(self) -> float:
        """Seconds by which the time of a search is counted: the machine's, or simulated ones."""
        ...

    def submit(self, pack: Pack, keep: Keep | None = None) -> None:
        """Begin to train a pack.

        Parameters
        ----------
        pack : Pack
        keep : Keep, optional
            Which of its models to keep, and report.
        """
        ...

    def hear(self) -> list[Heard]:
        """Wait for news of at least one pack."""
        ...

    def stop_at(self, seconds: float | None) -> None:
        """Have what is submitted from now on stop at an epoch's end after so many seconds.

        Packs that have not begun by then may come back as ended, without outcomes.

        Parameters
        ----------
        seconds : float, optional
            From now; None for no such time.
        """
        ...

    def cancel(self) -> None:
        """End at once what trains and what waits: nothing comes of it, and it is not busy."""
        ...


class Record(Protocol):
    """A record counts outcomes: in a run directory, or in memory."""

    def point(self, strategy: str, number: int) -> Hashable | None:
        """The configuration counted as a strategy's trial of that number; None if there is none."""
        ...

    def has(self, trial: Trial) -> bool:
        """Whether any strategy has the trial counted, trained as long."""
        ...

    def outcomes(self, strategy: str) -> Mapping[int, Outcome]:
        """The outcomes counted for a strategy before the record was opened, by number."""
        ...

    def bars(self) -> Mapping[str, Sequence[tuple[float, int]]]:
        """The scores and numbers of the trials whose models are kept, by strategy."""
        ...

    def keep(self, models: Sequence[KeptModel]) -> None:
        """Keep models of the best trials, before these are counted."""
        ...

    def count(self, outcomes: Sequence[Counted]) -> None:
        """Count outcomes: when this returns they are safe."""
        ...

    def copy(self, wanted: Sequence[tuple[str, Trial]]) -> list[Counted]:
        """Count for strategies what was trained for another one already."""
        ...

    def completed(self, counted: Sequence[Counted]) -> list[Outcome]:
        """The trials that outcomes just counted are of, where a trial is made of several."""
        ...

    def history(self, strategies: Collection[str]) -> Iterable[Outcome]:
        """What is counted for strategies, in the order in which it was."""
        ...

    def spend(self, strategies: Collection[str], spent: Spent) -> None:
        """Note what strategies have spent, in all parts of the run together."""
        ...

    def spent(self, strategies: Collection[str]) -> Spent:
        """What strategies have spent so far."""
        ...


class Progress:
    """A listener to the course of a search; this base class does nothing."""

    def planned(self, pack: Pack) -> None:
        """A pack was planned."""

    def trained(self, pack: Pack, report: Report, counted: Sequence[Counted]) -> None:
        """A worker reported of a pack, and its outcomes were counted."""

    def ended(self, pack: Pack) -> None:
        """Nothing more comes of a pack: it was trained, or its worker died."""

    def kept(self, rows: int) -> None:
        """So many trials were counted without training."""

    def begun(self, trials: int, course: Course, *, learns: bool) -> None:
        """A search begins.

        Parameters
        ----------
        trials : int
            How many it has counted at its end, at most; of a strategy that learns, how many
            trainings it begins.
        course : Course
            What is spent of its budget, as it goes on.
        learns : bool
            Whether a strategy of it learns.
        """


def search(
    samplers: Mapping[str, Sampler],
    executor: Executor,
    record: Record,
    packer: Packer,
    progress: Progress | None = None,
    *,
    goal: Goal = LOSS,
    keep: Keep | None = None,
    horizon: int = HORIZON,
    course: Course | None = None,
) -> str:
    """Train what the samplers ask for and the record does not have, and count it there.

    A trial that two strategies ask for is trained once and counted for both. Samplers hear every
    outcome in the order of their trials' numbers.

    Parameters
    ----------
    samplers : mapping of str to Sampler
        By the name of the strategy.
    executor : Executor
    record : Record
    packer : Packer
    progress : Progress, optional
    goal : Goal
        The score that samplers are to make better.
    keep : Keep, optional
        How many models to keep, and by which metric; who wants which trial is filled in.
    horizon : int
        How many trials to ask for ahead, of samplers that do not learn.
    course : Course, optional
        With a budget, which ends the search before its strategies do.

    Returns
    -------
    str
        Why it ended, if its budget did it; else empty.

    Raises
    ------
    TuningError
        If a sampler asks for something else than the record has, or waits for nothing.
    RunStopped
        If the outcomes cannot be counted.
    """
    for sampler in samplers.values():
        sampler.meet(packer, goal)
    plan = _Plan(samplers, record, packer, progress or Progress(), horizon)
    spending = _Spending(course or Course(Budget(), "", "max"), record, samplers, executor)
    executor.stop_at(spending.course.seconds_left())
    while True:
        if why := spending.course.over:
            plan.queue.clear()
        else:
            spending.course.count(plan.refill(executor.free))
        while plan.queue and executor.free > 0:
            pack = plan.next()
            executor.submit(pack, plan.to_keep(pack, keep))
        if executor.busy and spending.course.at_once:
            executor.cancel()
        if not executor.busy:
            if why or plan.finished:
                executor.stop_at(None)
                spending.note([])
                return why
            plan.refuse_to_wait()
            continue
        heard = executor.hear()
        spending.note(heard)
        spending.course.count(plan.take(heard))


def train_all(
    executor: Executor, packs: Sequence[Pack], keep: Keep | None = None
) -> Iterator[Report]:
    """Train packs and count nothing: their reports, as they come."""
    for heard in trained(executor, packs, lambda _: keep):
        yield heard.report


def trained(
    executor: Executor, packs: Sequence[Pack], keep: Callable[[Pack], Keep | None]
) -> Iterator[Heard]:
    """Train packs, and those that take their places: the news of them, as they come.

    Parameters
    ----------
    executor : Executor
    packs : sequence of Pack
    keep : callable
        Which of a pack's models to keep, asked as it begins.
    """
    waiting = list(packs)
    while waiting or executor.busy:
        while waiting and executor.free > 0:
            pack = waiting.pop(0)
            executor.submit(pack, keep(pack))
        for heard in executor.hear():
            yield heard
            waiting += heard.again


def ask(sampler: Sampler, n: int) -> list[Trial] | Signal:
    """Ask a sampler for at most `n` trials.

    Raises
    ------
    TuningError
        If it fails, or gives something else.
    """
    kind = type(sampler).__name__
    try:
        answer = sampler.ask(n)
        if not isinstance(answer, list | Signal):
            raise TypeError(f"it gives {type(answer).__name__}, not a list of Trial")
        trials = [] if isinstance(answer, Signal) else answer
        if wrong := [each for each in trials if not isinstance(each, Trial)]:
            raise TypeError(f"it gives {type(wrong[0]).__name__}, not Trial")
    except TuningError:
        raise
    except (Exception, SystemExit) as error:
        raise TuningError(f"ask of the sampler {kind} failed: {first_line(error)}") from error
    return answer


def tell(sampler: Sampler, outcomes: Sequence[Outcome]) -> None:
    """Give outcomes to a sampler.

    Raises
    ------
    TuningError
        If it fails.
    """
    kind = type(sampler).__name__
    try:
        sampler.tell(outcomes)
    except TuningError:
        raise
    except (Exception, SystemExit) as error:
        raise TuningError(f"tell of the sampler {kind} failed: {first_line(error)}") from error


def _of(trial: Trial, outcome: Outcome) -> Outcome:
    """The outcome of a training as that of a trial by which it was asked for."""
    same = outcome.trial.number == trial.number  # as it is the same training
    return outcome if same else replace(outcome, trial=trial)


def _is_news(outcome: Outcome) -> bool:
    """Whether a trial was trained at all: its time may have come before it began."""
    return outcome.status != "stopped" or len(outcome.curve) > outcome.trial.since


class _Asked:
    """A sampler, and what it has asked for and heard.

    Attributes
    ----------
    finished : bool
    queued : set of Pack
        Of its trials that no executor has yet, if it learns.
    """

    def __init__(self, name: str, sampler: Sampler, known: Mapping[int, Outcome]) -> None:
        self.name = name
        self.sampler = sampler
        self.finished = False
        self.queued: set[Pack] = set()
        self._known = known
        self._to_tell: dict[int, Outcome] = {}
        self._told = 0

    def ask(self, n: int) -> list[Trial]:
        """The next trials, at most `n`; none if it waits or has finished."""
        answer = ask(self.sampler, n)
        self.finished = answer is FINISHED
        return [] if isinstance(answer, Signal) else answer

    def known(self, trial: Trial) -> Outcome | None:
        """The outcome that the record had for a trial, if the sampler learns."""
        outcome = self._known.get(trial.number)
        return None if outcome is None else replace(outcome, trial=trial)

    def hear(self, outcome: Outcome) -> None:
        """Note the outcome of one of its trials."""
        if self.sampler.learns:
            self._to_tell[outcome.trial.number] = outcome

    def tell(self) -> None:
        """Give the sampler all outcomes whose turn has come."""
        outcomes = []
        while self._told in self._to_tell:
            outcomes.append(self._to_tell.pop(self._told))
            self._told += 1
        if outcomes:
            tell(self.sampler, outcomes)


class _Spending:
    """What a search spends of its budget, by the executor's clock, and notes in the record."""

    def __init__(
        self, course: Course, record: Record, strategies: Collection[str], executor: Executor
    ) -> None:
        self.course = course
        self._record = record
        self._strategies = strategies
        self._executor = executor
        self._last = executor.clock
        if course.budget:
            course.count(record.history(strategies))

    def note(self, heard: Iterable[Heard]) -> None:
        """Note the time since the last news, and the epochs that these are of."""
        spent, now = self.course.spent, self._executor.clock
        spent.seconds += now - self._last
        spent.epochs += sum(len(each.report.epoch_seconds) for each in heard)
        self._last = now
        self._record.spend(self._strategies, spent)


class _Plan:
    """The packs that wait, longest first, and who asked for each trial."""

    def __init__(
        self,
        samplers: Mapping[str, Sampler],
        record: Record,
        packer: Packer,
        progress: Progress,
        horizon: int,
    ) -> None:
        self.queue: list[tuple[bool, float, int, int, Pack]] = []
        self._record = record
        self._packer = packer
        self._progress = progress
        self._horizon = horizon
        self._asked = [
            _Asked(name, sampler, record.outcomes(name) if sampler.learns else {})
            for name, sampler in samplers.items()
        ]
        self._wanted_by: dict[Hashable, list[tuple[str, Trial]]] = {}
        self._packs = 0

    @property
    def finished(self) -> bool:
        """Whether all samplers have finished, and nothing waits."""
        return not self.queue and all(each.finished for each in self._asked)

    def refill(self, free: int) -> list[Outcome]:
        """Ask the samplers for more, where there is room; what is counted already stays so.

        Parameters
        ----------
        free : int
            Packs that the executor takes now: no more is asked of samplers that learn.

        Returns
        -------
        list of Outcome
            What was counted without training.
        """
        found: list[Outcome] = []
        more = True
        while more:  # what the record has already may let a sampler go on
            more = False
            new: list[Trial] = []
            copies: list[tuple[str, Trial]] = []
            kept = 0
            for asked in self._asked:
                own, known, n_own = self._sort(asked, self._ask(asked, free), copies)
                kept += len(known)
                if asked.sampler.learns:
                    for outcome in filter(None, known):
                        asked.hear(outcome)
                    asked.queued.update(self._add_job(asked.sampler, own))
                    # A strategy that decides job by job is asked for the next one.
                    more |= bool(known) or bool(n_own and asked.sampler.ahead)
                else:
                    new += own
            self._add(self._packer.split(new) if new else [])
            if kept or copies:
                copied = self._record.copy(copies) if copies else []
                self._progress.kept(kept + len(copied))
                found += self._record.completed(copied)
                more |= self._hear(copied)
            for asked in self._asked:
                asked.tell()
        return found

    def _sort(
        self, asked: _Asked, trials: Iterable[Trial], copies: list[tuple[str, Trial]]
    ) -> tuple[list[Trial], list[Outcome | None], int]:
        """The trials of a sampler that are to be trained, what is known of others, and how many.

        Those that another strategy has had trained are added to `copies`.
        """
        new: list[Trial] = []
        known: list[Outcome | None] = []
        n = 0
        for n, trial in enumerate(trials, start=1):  # noqa: B007
            if self._has(asked.name, trial):
                known.append(asked.known(trial))
            elif trial.key in self._wanted_by:
                self._wanted_by[trial.key].append((asked.name, trial))
            elif self._record.has(trial):
                copies.append((asked.name, trial))
            else:
                self._wanted_by[trial.key] = [(asked.name, trial)]
                new.append(trial)
        return new, known, n

    def next(self) -> Pack:
        """The longest pack that waits, of those first for whose outcomes a sampler waits."""
        pack = heapq.heappop(self.queue)[-1]
        for asked in self._asked:
            asked.queued.discard(pack)
        return pack

    def to_keep(self, pack: Pack, keep: Keep | None) -> Keep | None:
        """The request to keep a pack's best models: who asked for each, what is kept so far."""
        if keep is None:
            return None
        wanted = {
            trial.key: tuple((name, own.number) for name, own in self._wanted_by[trial.key])
            for trial in pack.trials
        }
        return replace(keep, wanted=wanted, bars=self._record.bars())

    def take(self, heard: list[Heard]) -> list[Outcome]:
        """Count what was heard, and tell the samplers and the progress; what was counted."""
        counted = [
            [
                (name, _of(trial, outcome))
                for outcome in each.report.outcomes
                if _is_news(outcome)
                for name, trial in self._wanted_by.pop(outcome.trial.key)
            ]
            for each in heard
        ]
        for each in heard:
            self._record.keep(each.report.models)
        if everything := [each for own in counted for each in own]:
            self._record.count(everything)
        for each, own in zip(heard, counted, strict=True):
            self._progress.trained(each.pack, each.report, own)
        self._hear(everything)
        for each in heard:
            if each.ended:
                self._progress.ended(each.pack)
                self._add(each.again, waits=self._is_waited_for(each.again))
        for asked in self._asked:
            asked.tell()
        return self._record.completed(everything)

    def refuse_to_wait(self) -> None:
        """Raise TuningError if a sampler waits though it has heard everything."""
        for asked in self._asked:
            if not asked.finished and not self.queue:
                raise TuningError(
                    f"the strategy {asked.name!r} waits for outcomes, but has heard of all its "
                    "trials"
                )

    def _ask(self, asked: _Asked, free: int) -> Iterator[Trial]:
        """The trials that a sampler gives now, as many as there is room for."""
        if asked.sampler.learns:
            if not asked.finished and (room := free - len(asked.queued)) > 0:
                yield from asked.ask(room)
            return
        if len(self._wanted_by) > self._horizon // 2:
            return
        while not asked.finished and (n := self._horizon - len(self._wanted_by)) > 0:
            if not (trials := asked.ask(n)):
                return
            yield from trials

    def _has(self, name: str, trial: Trial) -> bool:
        """Whether the record has this trial of a strategy."""
        there = self._record.point(name, trial.number)
        if there is not None and there != trial.point:
            raise TuningError(
                f"trial {trial.number:,} of the strategy {name!r} is another configuration than "
                "the run has: the run was not made by this strategy as it is now"
            )
        return there is not None

    def _hear(self, outcomes: Iterable[Counted]) -> bool:
        """Note outcomes for the samplers; whether one of these learns."""
        learns = False
        for name, outcome in outcomes:
            asked = self._named(name)
            asked.hear(outcome)
            learns |= asked.sampler.learns
        return learns

    def _is_waited_for(self, packs: list[Pack]) -> bool:
        """Whether a strategy that learns has asked for one of the packs' trials."""
        names = {
            name for pack in packs for each in pack.trials for name, _ in self._wanted_by[each.key]
        }
        return any(self._named(name).sampler.learns for name in names)

    def _named(self, name: str) -> _Asked:
        return next(asked for asked in self._asked if asked.name == name)

    def _add_job(self, sampler: Sampler, trials: list[Trial]) -> list[Pack]:
        """Add the packs of trials that a sampler which learns waits for, in its order."""
        if not trials:
            return []
        if not sampler.ahead:
            packs = self._packer.split(trials)
        else:
            parts = math.ceil(max(1, self._packer.workers) / sampler.ahead)
            packs = self._packer.split_job(trials, parts, pauses=sampler.pauses)
        self._add(packs, waits=True)
        return packs

    def _add(self, packs: list[Pack], waits: bool = False) -> None:
        """Add packs to the queue.

        Parameters
        ----------
        packs : list of Pack
        waits : bool
            Whether a sampler waits for their outcomes: they go first, in order.
        """
        for pack in packs:
            # Equals in no order: neighbours are alike; the time left is learnt from all kinds.
            first = pack.trials[0]
            place = first.number if first.index is None else first.index
            scattered = 0 if waits else place * 2_654_435_761 % 2**32
            seconds = 0.0 if waits else -pack.work.seconds
            self._packs += 1
            heapq.heappush(self.queue, (not waits, seconds, scattered, self._packs, pack))
            self._progress.planned(pack)
