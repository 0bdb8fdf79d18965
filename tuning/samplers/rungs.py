"""Strategies that stop trainings at rungs, and have the promising go on."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuning.errors import TuningError
from tuning.samplers.drawing import Drawing, Likely, best_of, configuration_of, longest_epochs
from tuning.samplers.jobs import AHEAD, JobSampler, Wanted, check_whole
from tuning.samplers.protocol import LOSS, Goal, Programs, Signal
from tuning.space.space import Space
from tuning.trial import Outcome
from tuning.trial import epochs as epochs_of

MEMBERS = 12
EPOCHS_MIN, REDUCTION = 1, 3


@dataclass(frozen=True)
class Seen:
    """How far a training has come.

    Attributes
    ----------
    configuration : dict
        With the longest epochs, where these say no more than how long to train.
    epochs : int
        Trained so far.
    worth : float
        Of its last epoch; the higher the better, -inf without a score.
    """

    configuration: dict[str, Any]
    epochs: int
    worth: float


class RungSampler(JobSampler):
    """A strategy whose trainings may stop at rungs: numbers of epochs, each a multiple of the last.

    A rung that is one of the space's ``epochs``, where these say no more than how long to train, is
    a row of a configuration with so many. So are all of these values that a training passes on its
    way. Another rung is a row of the longest configuration, which was ``stopped``.

    Parameters
    ----------
    space : Space
    seed : int
        Of the draws, and of every training.
    trials : int
        At most so many trainings are begun.
    epochs_min : int
        The first rung.
    reduction : int
        Each rung has so many times the epochs of the one before; one of so many trainings goes on.
    ahead : int
        Jobs that may be trained at once.
    members : int
        Configurations of one program that are drawn together.
    start : sequence of dict
        Configurations to try first; they count among the trials.
    prior : mapping
        Where good values are likely: see `Drawing`.

    Raises
    ------
    TuningError
        For a setting out of its range, or a start or prior that is not of the space.
    """

    pauses = True

    def __init__(
        self,
        space: Space,
        seed: int,
        trials: int,
        *,
        epochs_min: int = EPOCHS_MIN,
        reduction: int = REDUCTION,
        ahead: int = AHEAD,
        members: int = MEMBERS,
        start: Sequence[Mapping[str, Any]] = (),
        prior: Likely | None = None,
    ) -> None:
        super().__init__(space, seed, trials, ahead)
        check_whole("epochs_min", epochs_min, 1)
        check_whole("reduction", reduction, 2)
        check_whole("members", members, 1)
        self.longest = longest_epochs(space)
        if epochs_min > self.longest:
            raise TuningError(
                f"epochs_min is {epochs_min}: a rung above the largest epoch, {self.longest}"
            )
        self.epochs_min = epochs_min
        self.reduction = reduction
        self.members = members
        self._random = random.Random(seed)
        self.drawing = Drawing(space, self._random, prior)
        self._start = [configuration_of(space, configuration) for configuration in start]
        self._recalled: list[Outcome] = []

    def recall(self, outcomes: Sequence[Outcome]) -> None:
        """Hear outcomes of an earlier run, the best first."""
        self._recalled += outcomes

    def meet(self, programs: Programs, goal: Goal = LOSS) -> None:
        """Hear how configurations share programs, and what is sought."""
        super().meet(programs, goal)
        self.prepare()
        if self._recalled:
            self.begin_from(self._recalled)

    def prepare(self) -> None:
        """Make what depends on `programs` and `goal`."""

    def begin_from(self, outcomes: Sequence[Outcome]) -> None:
        """Begin with what an earlier run found: try its best configurations first."""
        self._start += best_of(outcomes, self.training)

    def next_start(self) -> list[dict[str, Any]]:
        """Configurations to start with that were not tried yet: those of one program."""
        chosen: list[dict[str, Any]] = []
        left = []
        for configuration in self._start:
            own = self.longer(configuration)
            first = not chosen or self.program_of(own) == self.program_of(chosen[0])
            if first and len(chosen) < self.room:
                if self.drawing.note(self.training(own)):
                    chosen.append(own)
            else:
                left.append(configuration)
        self._start = left
        return chosen

    def draw(self, n: int, first: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """New configurations of one program, at most `n` and as there is `room` for."""
        return self.drawing.members(min(n, self.room), self.programs, self.training, first)

    def rungs(self, configuration: Mapping[str, Any]) -> list[int]:
        """The epochs at which the configuration's training may stop; the last is its end.

        A rung close to the end is left out.
        """
        end = max(1, epochs_of(configuration))
        rungs = []
        rung = self.epochs_min
        while rung * rung * self.reduction <= end * end:
            rungs.append(rung)
            rung *= self.reduction
        return [*rungs, end] if not rungs or rungs[-1] < end else rungs

    def begin(self, configurations: Iterable[dict[str, Any]], rung: int = 0) -> list[Wanted]:
        """The trials by which new trainings come to a rung: 0 is the first, -1 the end."""
        wanted = []
        for each in configurations:
            rungs = self.rungs(each)
            wanted += self.train([each], 0, rungs[min(rung, len(rungs) - 1)])
        return wanted

    def train(
        self, configurations: Iterable[dict[str, Any]], since: int, until: int
    ) -> list[Wanted]:
        """The trials by which trainings go on from one epoch to another."""
        return [
            each
            for configuration in configurations
            for each in self._stages(configuration, since, until)
        ]

    def seen(self, outcomes: Sequence[Outcome]) -> list[Seen]:
        """How far each training has come that these outcomes are of, in their order."""
        last: dict[str, Outcome] = {}
        for outcome in outcomes:
            key = self.training(outcome.trial.configuration)
            if key not in last or outcome.trial.epochs >= last[key].trial.epochs:
                last[key] = outcome
        return [
            Seen(self.longer(each.trial.configuration), each.trial.epochs, self.goal.worth(each))
            for each in last.values()
        ]

    def longer(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration as its training goes on to the end."""
        if self.programs.free_epochs and "epochs" in configuration:
            return {**configuration, "epochs": self.longest}
        return dict(configuration)

    def _stages(self, configuration: dict[str, Any], since: int, until: int) -> list[Wanted]:
        parameter = self._space.parameters.get("epochs")
        if parameter is None or not self.programs.free_epochs:
            return [Wanted(configuration, until, since)]
        values = sorted(value for value in parameter.values or () if since < value <= until)
        stages = [Wanted({**configuration, "epochs": value}, value, since) for value in values]
        if until not in values:
            stages.append(Wanted(configuration, until, since))
        return stages

    def program_of(self, configuration: Mapping[str, Any]) -> Hashable:
        """What configurations have in common that share a program; None if nothing does."""
        return self.programs.program(configuration)

    def idle(self) -> Signal:
        """What to answer where there is nothing to train now."""
        return Signal.WAIT if self.waiting else Signal.FINISHED
