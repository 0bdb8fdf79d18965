"""The executor that trains nothing: it answers from a finished table, by a simulated clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import replace

from tuning.engines.keeping import Keep
from tuning.engines.reports import Report
from tuning.errors import TuningError
from tuning.execution.loop import Counted, Heard, ask, tell
from tuning.packing.axes import UNPACKED
from tuning.packing.packs import Pack, Packer
from tuning.samplers import FINISHED, WAIT, Sampler
from tuning.samplers.protocol import Programs, Signal
from tuning.trial import KeptModel, Outcome, Trial

PATIENCE = 10_000  # trials in a row that the table does not have


class TableExecutor:
    """Answers with the outcomes of a table, each after the seconds that it took.

    Source: the simulator backend of Salinas et al., "Syne Tune", AutoML 2022, which likewise has
    one loop for real trainings and for tables.

    Parameters
    ----------
    outcomes : mapping
        By `Trial.point`.
    workers : int
        That answer at once.

    Attributes
    ----------
    clock : float
        Seconds since the beginning, as simulated.
    """

    def __init__(self, outcomes: Mapping[Hashable, Outcome], workers: int = 1) -> None:
        self.clock = 0.0
        self._outcomes = outcomes
        self._workers = workers
        self._order = itertools.count()
        self._ends: list[tuple[float, int, Pack]] = []

    @property
    def packer(self) -> Packer:
        """The packer, which makes each trial a pack of its own."""
        return Packer(UNPACKED, 1, self._workers)

    @property
    def free(self) -> int:
        """The number of packs that it can take now."""
        return self._workers - len(self._ends)

    @property
    def busy(self) -> bool:
        """Whether it has packs that have not ended."""
        return bool(self._ends)

    def submit(self, pack: Pack, keep: Keep | None = None) -> None:
        """Give a pack to a free worker of the simulation."""
        seconds = sum(self._outcomes[trial.point].seconds for trial in pack.trials)
        heapq.heappush(self._ends, (self.clock + seconds, next(self._order), pack))

    def hear(self) -> list[Heard]:
        """Go on to when the next pack ends."""
        self.clock, _, pack = heapq.heappop(self._ends)
        outcomes = [replace(self._outcomes[trial.point], trial=trial) for trial in pack.trials]
        return [Heard(pack, Report(outcomes), ended=True)]

    def stop_at(self, seconds: float | None) -> None:
        """Do nothing: a table has whole trainings."""

    def cancel(self) -> None:
        """Forget what its workers do."""
        self._ends.clear()


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

    def meet(self, programs: Programs) -> None:
        """Pass on how configurations share programs."""
        self._sampler.meet(programs)

    def ask(self, n: int) -> list[Trial] | Signal:
        """The next trials, at most `n`.

        Raises
        ------
        TuningError
            If the sampler fails, or gives many in a row that the table does not have.
        """
        passed_over = 0
        while (room := min(n, self.n_trials - len(self._given))) > 0:
            answer = ask(self._sampler, room)
            if isinstance(answer, Signal) or not answer:
                return answer or WAIT
            known = [trial for trial in answer if trial.point in self._known]
            first = len(self._given)
            self._given += known
            if known:
                return [replace(trial, number=first + i) for i, trial in enumerate(known)]
            passed_over += len(answer)
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

    def count(self, outcomes: Sequence[Counted]) -> None:
        """Count outcomes."""
        self.counted += outcomes
        for strategy, outcome in outcomes:
            self._points[strategy, outcome.trial.number] = outcome.trial.point
            self._trained[outcome.trial.point, outcome.trial.epochs] = outcome

    def copy(self, wanted: Sequence[tuple[str, Trial]]) -> list[Counted]:
        """Count for strategies what was trained for another one already."""
        copies = [
            (strategy, replace(self._trained[trial.point, trial.epochs], trial=trial))
            for strategy, trial in wanted
        ]
        self.count(copies)
        return copies
