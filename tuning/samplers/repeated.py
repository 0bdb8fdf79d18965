"""Each trial of a strategy on every fold and with several seeds; the strategy hears their means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tuning.samplers.protocol import LOSS, Goal, Programs, Sampler, Signal
from tuning.trial import Outcome, Status, Trial

AHEAD = 3  # trials of a strategy that gives them singly, whose parts train at once
WORST_FIRST: tuple[Status, ...] = ("failed", "timeout", "diverged", "stopped", "ok")


@dataclass(frozen=True)
class Copies:
    """The trainings that each trial of a search stands for.

    A training's number is ``trial · size + place``, with the place of its seed and fold among all,
    those of one seed side by side.

    Attributes
    ----------
    seed : int
        The search's; the others follow it one by one.
    folds : int
        0 where the data has splits of its own.
    repeats : int
        Seeds.
    """

    seed: int
    folds: int = 0
    repeats: int = 1

    @property
    def size(self) -> int:
        """Trainings of one trial."""
        return max(1, self.folds) * self.repeats

    def of(self, trial: Trial) -> list[Trial]:
        """The trainings of a strategy's trial."""
        each = max(1, self.folds)
        return [
            replace(
                trial,
                number=trial.number * self.size + place,
                seed=self.seed + place // each,
                fold=place % each if self.folds else None,
            )
            for place in range(self.size)
        ]

    def number(self, trial: int, seed: int, fold: int | None) -> int:
        """The number of a training, of its trial's number, its seed and its fold."""
        place = (seed - self.seed) * max(1, self.folds) + (fold or 0)
        return trial * self.size + place

    def trial(self, number: int) -> int:
        """The number of the trial that a training is of."""
        return number // self.size

    def describe(self) -> str:
        """In words, such as ``on 5 folds with 3 seeds``; empty of one training a trial."""
        folds = f"on {self.folds} folds" if self.folds else ""
        seeds = f"with {self.repeats} seeds" if self.repeats > 1 else ""
        return " ".join(filter(None, (folds, seeds)))


class RepeatedSampler(Sampler):
    """Each trial of a sampler on every fold and with several seeds.

    The sampler hears one outcome a trial, the mean of its trainings, once all are known.

    Parameters
    ----------
    sampler : Sampler
    copies : Copies
    """

    def __init__(self, sampler: Sampler, copies: Copies) -> None:
        self.sampler = sampler
        self.n_trials = sampler.n_trials * copies.size
        self.learns, self.pauses = sampler.learns, sampler.pauses
        self.ahead = sampler.ahead or (AHEAD if sampler.learns else 0)
        self._copies = copies
        self._asked: dict[int, Trial] = {}
        self._heard: dict[int, list[Outcome]] = {}

    def meet(self, programs: Programs, goal: Goal = LOSS) -> None:
        """Pass on how configurations share programs, and what is sought."""
        self.sampler.meet(programs, goal)

    def ask(self, n: int) -> list[Trial] | Signal:
        """The trainings of the next trials: at most `n`, or of one trial."""
        answer = self.sampler.ask(max(1, n // self._copies.size))
        if isinstance(answer, Signal):
            return answer
        if self.learns:
            self._asked |= {trial.number: trial for trial in answer}
        return [each for trial in answer for each in self._copies.of(trial)]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Give the sampler the means of the trials whose last trainings these are."""
        means = []
        for outcome in outcomes:
            number = self._copies.trial(outcome.trial.number)
            known = self._heard.setdefault(number, [])
            known.append(outcome)
            if len(known) == self._copies.size:
                means.append(mean_of(self._asked.pop(number), self._heard.pop(number)))
        if means:
            self.sampler.tell(means)

    def recall(self, outcomes: Sequence[Outcome]) -> None:
        """Pass on the outcomes of an earlier run."""
        self.sampler.recall(outcomes)

    def begins_with(self, other: Sampler) -> bool:
        """Whether its first trials are those of another one with fewer."""
        return isinstance(other, RepeatedSampler) and self.sampler.begins_with(other.sampler)

    def describe(self) -> str:
        """Such as ``20 random configurations, each on 5 folds``."""
        return f"{self.sampler.describe()}, each {self._copies.describe()}"


def mean_of(trial: Trial, outcomes: Sequence[Outcome]) -> Outcome:
    """The mean of a trial's trainings, which has the worst of their statuses.

    Parameters
    ----------
    trial : Trial
    outcomes : sequence of Outcome
        Of all its trainings.

    Returns
    -------
    Outcome
        With means of the scores that all have, of each epoch as well; seconds are sums.
    """
    worst = min(outcomes, key=lambda each: WORST_FIRST.index(each.status))
    epochs = min(len(each.curve) for each in outcomes)
    alike = worst.status in ("ok", "stopped")
    return replace(
        worst,
        trial=trial,
        metrics=_means([each.metrics for each in outcomes]) if alike else {},
        curve=[_means([each.curve[i] for each in outcomes]) for i in range(epochs)],
        seconds=sum(each.seconds for each in outcomes),
        epoch_seconds=[
            sum(each.epoch_seconds[i] for each in outcomes)
            for i in range(min(len(each.epoch_seconds) for each in outcomes))
        ],
    )


def _means(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each score that all have."""
    common = [name for name in scores[0] if all(name in each for each in scores)]
    return {name: math.fsum(each[name] for each in scores) / len(scores) for name in common}
