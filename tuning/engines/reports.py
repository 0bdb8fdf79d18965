"""What a worker tells of a pack while it trains it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuning.trial import KeptModel, Outcome, Paused, Trial

if TYPE_CHECKING:
    from tuning.engines.keeping import Keeper
    from tuning.engines.weights import Weights

REPORT_SECONDS = 5.0
"""Between a worker's reports: a driver that dies loses no more of what was finished, and the time
left is known so early."""


@dataclass(frozen=True)
class Report:
    """The news of a pack since its last report.

    Attributes
    ----------
    outcomes : list of Outcome
        Of the trials that were finished.
    epoch_seconds : list of float
        Wall time of each epoch that a trajectory was trained, validation included.
    seconds : float
        Wall time for which the pack held its CPU.
    models : list of KeptModel
        Of outcomes in this report that are among the best.
    paused : dict of key to Paused
        Trainings that can go on from where they are, by `Packing.trajectory_of`; only in the last
        report of a pack that asks for them.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    epoch_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    models: list[KeptModel] = field(default_factory=list)
    paused: dict[Hashable, Paused] = field(default_factory=dict)


class Reporter:
    """Gathers what happens to a pack, and knows when it is time to report it.

    Parameters
    ----------
    keeper : Keeper, optional
        Holds the weights of the best.
    trials : iterable of Trial
        All that are to be told.

    Attributes
    ----------
    told : set
        `Trial.key` of all trials that it heard the outcomes of.
    """

    def __init__(self, keeper: Keeper | None = None, trials: Iterable[Trial] = ()) -> None:
        self._keeper = keeper
        self._asked = {trial.key for trial in trials}
        self._paused: dict[Hashable, Paused] = {}
        self.told: set[Hashable] = set()
        self._since = time.perf_counter()
        self._outcomes: list[Outcome] = []
        self._epoch_seconds: list[float] = []

    def add(
        self,
        outcomes: Iterable[Outcome],
        epoch_seconds: Iterable[float] = (),
        weights: Callable[[], Weights] | None = None,
    ) -> None:
        """Trials were finished, and epochs trained; of a trial only its first outcome counts.

        Parameters
        ----------
        outcomes : iterable of Outcome
        epoch_seconds : iterable of float
        weights : callable, optional
            Copies the weights that the trials have in common.
        """
        new = [outcome for outcome in outcomes if outcome.trial.key not in self.told]
        self.told.update(outcome.trial.key for outcome in new)
        self._outcomes += new
        self._epoch_seconds += epoch_seconds
        if self._keeper is not None and weights is not None:
            for outcome in new:
                self._keeper.offer(outcome, weights)

    def pause(self, key: Hashable, paused: Paused) -> None:
        """A training can go on from here, for the last report."""
        self._paused[key] = paused

    @property
    def due(self) -> bool:
        """Whether the last report was long ago, and this will not be the last one."""
        late = time.perf_counter() - self._since > REPORT_SECONDS
        return late and not self._asked <= self.told

    def report(self, *, last: bool = False) -> Report:
        """All since the last report, and with the last one the trainings that can go on."""
        models = [] if self._keeper is None else self._keeper.models()
        now = time.perf_counter()
        report = Report(self._outcomes, self._epoch_seconds, now - self._since, models)
        if last:
            report.paused.update(self._paused)
        self._since, self._outcomes, self._epoch_seconds = now, [], []
        return report
