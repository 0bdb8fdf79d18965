"""The executor that trains nothing: it answers from a finished table, by a simulated clock."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Collection, Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from tuning.engines.keeping import Keep
from tuning.engines.reports import Report
from tuning.errors import TuningError
from tuning.execution.loop import Counted, Heard, ask, tell
from tuning.packing.axes import UNPACKED, Axis, Kind, Packing
from tuning.packing.packs import Pack, Packer
from tuning.samplers import FINISHED, WAIT, Sampler
from tuning.samplers.protocol import LOSS, Goal, Programs, Signal
from tuning.trial import KeptModel, Outcome, Spent, Trial

PATIENCE = 10_000  # trials in a row that the table does not have


@dataclass(frozen=True)
class Costs:
    """The seconds that a simulated search spends on other things than epochs.

    Attributes
    ----------
    start : float
        Before the first pack.
    compile : float
        When a worker meets a program that none has compiled before.
    load : float
        When a worker meets a program that another one has compiled, or what ends its trainings.
    member : float
        For each new training of a pack: its model is built and traced. One that goes on has both.
    finish : float
        When a worker first trains a program to its end, and none has before: scoring on the test
        data is compiled, and often training for another number of members.
    call : float
        For each pack.
    speed : float
        The seconds of an epoch over those that the table has.
    """

    start: float = 0.0
    compile: float = 1.3
    load: float = 0.2
    member: float = 0.04
    finish: float = 0.0
    call: float = 0.0
    speed: float = 1.0


class Compiled:
    """What workers have of programs: what begins trainings, and what ends them."""

    def __init__(self) -> None:
        self._since: dict[Hashable, float] = {}  # when others can load it
        self._of: dict[Hashable, set[Hashable]] = {}

    def has(self, worker: Hashable, program: Hashable) -> bool:
        """Whether a worker can begin trainings of a program."""
        return (program, "compile") in self._of.get(worker, ())

    def missing(self, worker: Hashable, program: Hashable, ends: bool, now: float) -> list[str]:
        """What a worker has to do before it trains: of ``compile``, ``load`` and ``finish``.

        Parameters
        ----------
        worker : hashable
        program : hashable
            None is compiled each time.
        ends : bool
            Whether it trains to the end.
        now : float
            The time.
        """
        parts = ["compile", "finish"] if ends else ["compile"]
        if program is None:
            return parts
        own = self._of.setdefault(worker, set())
        new = [part for part in parts if (program, part) not in own]
        own.update((program, part) for part in new)
        known = [self._since.get((program, part), math.inf) <= now for part in new]
        found = zip(new, known, strict=True)
        return ["load" if old else part for part, old in found if not (old and part == "finish")]

    def note(self, program: Hashable, part: str, time: float) -> None:
        """Another worker can load a part of a program from a time on."""
        self._since.setdefault((program, part), time)


class TableExecutor:
    """Answers with the outcomes of a table, each after the seconds that it took.

    A trial of fewer epochs than its configuration has is answered from the curve.

    Source: the simulator backend of Salinas et al., "Syne Tune", AutoML 2022, which likewise has
    one loop for real trainings and for tables.

    Parameters
    ----------
    outcomes : mapping
        By `Trial.point`.
    workers : int
        That answer at once.
    packing : Packing
        How configurations share programs; not at all unless told.
    n_rows : int
        Of the training data, for guesses of what an epoch takes.
    costs : Costs, optional
        With them, a pack takes these and the seconds of the epochs that its trainings go on for;
        without, the seconds of its outcomes.

    Attributes
    ----------
    clock : float
        Seconds since the beginning, as simulated.
    """

    def __init__(
        self,
        outcomes: Mapping[Hashable, Outcome],
        workers: int = 1,
        *,
        packing: Packing = UNPACKED,
        n_rows: int = 1,
        costs: Costs | None = None,
    ) -> None:
        self.clock = costs.start if costs else 0.0
        self._outcomes = outcomes
        self._workers = workers
        self._packing = packing
        self._n_rows = n_rows
        self._costs = costs
        self._order = itertools.count()
        self._idle = list(range(workers))
        self._compiled = Compiled()
        self._ends: list[tuple[float, int, Pack, int]] = []

    @property
    def packer(self) -> Packer:
        """The packer; it makes each trial a pack of its own where nothing shares a program."""
        return Packer(self._packing, self._n_rows, self._workers)

    @property
    def free(self) -> int:
        """The number of packs that it can take now."""
        return len(self._idle)

    @property
    def busy(self) -> bool:
        """Whether it has packs that have not ended."""
        return bool(self._ends)

    def submit(self, pack: Pack, keep: Keep | None = None) -> None:
        """Give a pack to a free worker of the simulation: one that has its program, if any."""
        having = (each for each in self._idle if self._compiled.has(each, pack.program))
        worker = next(having, self._idle[0])
        self._idle.remove(worker)
        if self._costs is None:
            seconds = sum(self._outcomes[trial.point].seconds for trial in pack.trials)
        else:
            seconds = self._ready(pack, worker, self._costs)
            seconds += self._training_seconds(pack, self._costs)
        heapq.heappush(self._ends, (self.clock + seconds, next(self._order), pack, worker))

    def hear(self) -> list[Heard]:
        """Go on to when the next pack ends.

        Raises
        ------
        TuningError
            For a trial of few epochs of which the table has no curve.
        """
        self.clock, _, pack, worker = heapq.heappop(self._ends)
        self._idle.append(worker)
        outcomes = [answer(trial, self._outcomes[trial.point]) for trial in pack.trials]
        return [Heard(pack, Report(outcomes), ended=True)]

    def stop_at(self, seconds: float | None) -> None:
        """Stop what trains in so many seconds from now, at the end of its epoch; None: do not."""

    def cancel(self) -> None:
        """End at once what trains; nothing of it is reported."""
        self._idle += [worker for *_, worker in self._ends]
        self._ends.clear()

    def _ready(self, pack: Pack, worker: int, costs: Costs) -> float:
        """The seconds until a worker has what a pack needs."""
        ends = any(trial.epochs >= trial.meant for trial in pack.trials)
        seconds = 0.0
        for part in self._compiled.missing(worker, pack.program, ends, self.clock):
            seconds += getattr(costs, part)
            self._compiled.note(pack.program, part, self.clock + seconds)
        return seconds

    def _training_seconds(self, pack: Pack, costs: Costs) -> float:
        """The seconds that a pack's trainings take, once its worker can train them."""
        work = work_of(pack, self._packing, self._outcomes)
        return costs.call + costs.member * work.members + costs.speed * work.seconds


@dataclass(frozen=True)
class PackWork:
    """What a pack trains.

    Attributes
    ----------
    members : int
        Trainings that begin in it.
    seconds : float
        Of all epochs, as a table has them.
    """

    members: int
    seconds: float


def work_of(pack: Pack, packing: Packing, outcomes: Mapping[Hashable, Outcome]) -> PackWork:
    """What a pack trains: of each of its trainings the longest trial.

    Parameters
    ----------
    pack : Pack
    packing : Packing
    outcomes : mapping
        Of a table, by `Trial.point`.
    """
    longest: dict[Hashable, Trial] = {}
    for trial in pack.trials:
        key = packing.trajectory_of(trial)
        if key not in longest or trial.epochs > longest[key].epochs:
            longest[key] = trial
    return PackWork(
        sum(trial.since == 0 for trial in longest.values()),
        sum(
            (trial.epochs - trial.since) * epoch_seconds(outcomes[trial.point])
            for trial in longest.values()
        ),
    )


def packing_of(kinds: Mapping[str, Kind]) -> Packing:
    """How the configurations of a table share programs, from the kinds of its axes."""
    return Packing({name: Axis(kind, "") for name, kind in kinds.items()}) if kinds else UNPACKED


def epoch_seconds(outcome: Outcome) -> float:
    """The mean seconds of an epoch."""
    known = outcome.epoch_seconds
    return sum(known) / len(known) if known else outcome.seconds / outcome.trial.epochs


def answer(trial: Trial, outcome: Outcome) -> Outcome:
    """What a trial comes to, from the outcome of its configuration.

    Raises
    ------
    TuningError
        If its epochs are fewer, and there is no curve.
    """
    if trial.epochs >= min(trial.meant, outcome.trial.epochs):
        return replace(outcome, trial=trial)
    if not outcome.curve:
        raise TuningError(
            f"the table has no curve of configuration {trial.point}, of which {trial.epochs} of "
            f"{outcome.trial.epochs} epochs are asked for"
        )
    if len(outcome.curve) < trial.epochs:  # it ended before
        return replace(outcome, trial=trial)
    curve = outcome.curve[: trial.epochs]
    metrics = {
        name if name.startswith("val_") else f"train_{name}": value
        for name, value in curve[-1].items()
    }
    return replace(
        outcome,
        trial=trial,
        status="stopped",
        metrics=metrics,
        curve=curve,
        seconds=epoch_seconds(outcome) * (trial.epochs - trial.since),
        epoch_seconds=outcome.epoch_seconds[: trial.epochs],
    )


class OnTable(Sampler):
    """The trials of a sampler that a table has, numbered anew, and no more than so many.

    The sampler is not told of the others.

    Parameters
    ----------
    sampler : Sampler
    known : container
        The `Trial.point` of each trial in the table.
    n_trials : int
    """

    def __init__(self, sampler: Sampler, known: Container[Hashable], n_trials: int) -> None:
        self.n_trials = n_trials
        self._sampler = sampler
        self._known = known
        self._given: list[Trial] = []

    def meet(self, programs: Programs, goal: Goal = LOSS) -> None:
        """Pass on how configurations share programs, and what is sought."""
        self._sampler.meet(programs, goal)

    def ask(self, n: int) -> list[Trial] | Signal:
        """The next trials, at most `n`.

        Raises
        ------
        TuningError
            If the sampler fails, or gives many in a row that the table does not have.
        """
        passed_over = 0
        while (room := min(n, self.n_trials - len(self._given))) > 0:
            asked = ask(self._sampler, room)
            if isinstance(asked, Signal) or not asked:
                return asked or WAIT
            known = [trial for trial in asked if trial.point in self._known]
            first = len(self._given)
            self._given += known
            if known:
                return [replace(trial, number=first + i) for i, trial in enumerate(known)]
            passed_over += len(asked)
            if passed_over > PATIENCE:
                raise TuningError(
                    f"the sampler {type(self._sampler).__name__} has asked for {passed_over:,} "
                    "trials in a row that the table does not have: train the whole grid"
                )
        return FINISHED

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Give the outcomes to the sampler, under the sampler's own numbers."""
        known = [replace(each, trial=self._given[each.trial.number]) for each in outcomes]
        tell(self._sampler, known)


class Memory:
    """A record that keeps the outcomes of a search in memory.

    Attributes
    ----------
    counted : list of (str, Outcome)
        In the order in which they were counted.
    """

    def __init__(self) -> None:
        self.counted: list[Counted] = []
        self._points: dict[tuple[str, int], Hashable] = {}
        self._trained: dict[Hashable, Outcome] = {}
        self._spent = Spent()

    def point(self, strategy: str, number: int) -> Hashable | None:
        """The configuration counted as a strategy's trial of that number; None if there is none."""
        return self._points.get((strategy, number))

    def has(self, trial: Trial) -> bool:
        """Whether any strategy has the trial counted, trained as long."""
        return (trial.point, trial.epochs) in self._trained

    def outcomes(self, strategy: str) -> Mapping[int, Outcome]:
        """Nothing: a memory begins empty."""
        return {}

    def bars(self) -> Mapping[str, Sequence[tuple[float, int]]]:
        """Nothing: no models are kept."""
        return {}

    def keep(self, models: Sequence[KeptModel]) -> None:
        """Do nothing: a table has no models."""

    def history(self, strategies: Collection[str]) -> list[Outcome]:
        """What is counted for strategies, in the order in which it was."""
        return [outcome for strategy, outcome in self.counted if strategy in strategies]

    def spend(self, strategies: Collection[str], spent: Spent) -> None:
        """Note what strategies have spent."""
        self._spent = spent

    def spent(self, strategies: Collection[str]) -> Spent:
        """What was spent so far."""
        return self._spent

    def count(self, outcomes: Sequence[Counted]) -> None:
        """Count outcomes."""
        self.counted += outcomes
        for strategy, outcome in outcomes:
            self._points[strategy, outcome.trial.number] = outcome.trial.point
            self._trained[outcome.trial.point, outcome.trial.epochs] = outcome

    def completed(self, counted: Sequence[Counted]) -> list[Outcome]:
        """The outcomes themselves: each is a trial."""
        return [outcome for _, outcome in counted]

    def copy(self, wanted: Sequence[tuple[str, Trial]]) -> list[Counted]:
        """Count for strategies what was trained for another one already."""
        copies = [
            (strategy, replace(self._trained[trial.point, trial.epochs], trial=trial))
            for strategy, trial in wanted
        ]
        self.count(copies)
        return copies
