"""Successive halving: trainings stop at rungs, and the best of each rung go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tuning.samplers.jobs import Wanted
from tuning.samplers.protocol import Signal
from tuning.samplers.registry import register
from tuning.samplers.rungs import RungSampler, Seen
from tuning.trial import Outcome


@dataclass
class Rung:
    """The trainings that have reached a rung.

    Attributes
    ----------
    reached : int
    promoted : int
    paused : list of (float, int, Seen)
        Those that did not go on: worth, order of arrival, and how far each has come.
    """

    reached: int = 0
    promoted: int = 0
    paused: list[tuple[float, int, Seen]] = field(default_factory=list)

    def add(self, seen: Seen) -> None:
        """A training has reached it; one without a score cannot go on."""
        self.reached += 1
        if seen.worth > float("-inf"):
            self.paused.append((-seen.worth, self.reached, seen))

    def best(self, reduction: int) -> list[Seen]:
        """Those that may go on now, the best first."""
        free = self.reached // reduction - self.promoted
        self.paused.sort(key=lambda each: each[:2])
        return [seen for *_, seen in self.paused[: max(0, free)]]

    def promote(self, chosen: Sequence[Seen]) -> None:
        """These go on."""
        self.promoted += len(chosen)
        self.paused = [each for each in self.paused if each[2] not in chosen]


@register("halving", title="successive halving")
class HalvingSampler(RungSampler):
    """Asynchronous successive halving, with jobs of one program.

    Members of one program are drawn together and trained to the first rung. As soon as one in
    `reduction` of the trainings that reached a rung may go on, the best goes on to the next rung,
    and with it the others of its program that may: promotions come before draws.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.

    Parameters
    ----------
    space, seed, trials, **settings
        As `RungSampler`.
    """

    def __init__(self, space: Any, seed: int, trials: int, **settings: Any) -> None:
        super().__init__(space, seed, trials, **settings)
        self._rungs: dict[tuple[int, int], Rung] = {}
        self._bracket_of: dict[str, int] = {}
        self._drawn = [0] * self.n_brackets

    @property
    def n_brackets(self) -> int:
        """How many brackets there are: each begins a rung later than the one before."""
        return 1

    def next_job(self) -> Sequence[Wanted] | Signal:
        """Promotions of one program, or else a draw."""
        if job := self._promotions():
            return job
        members = self.next_start()
        if not members and self.room > 0:
            members = self.draw(self.members)
        if not members:
            return self.idle()
        bracket = self.next_bracket()
        self._drawn[bracket] += len(members)
        for each in members:
            self._bracket_of[self.training(each)] = bracket
        return self.begin(members, bracket)

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Note who has reached which rung."""
        for seen in self.seen(outcomes):
            bracket = self._bracket_of[self.training(seen.configuration)]
            if seen.epochs < self.rungs(seen.configuration)[-1]:
                self._rungs.setdefault((bracket, seen.epochs), Rung()).add(seen)

    def next_bracket(self) -> int:
        """The bracket of the next draw."""
        return 0

    def _promotions(self) -> list[Wanted]:
        for key in sorted(self._rungs, reverse=True):
            rung = self._rungs[key]
            if best := rung.best(self.reduction):
                program = self.program_of(best[0].configuration)
                chosen = [
                    each
                    for each in best
                    if self.program_of(each.configuration) == program
                    and self._next_rung(each) == self._next_rung(best[0])
                ]
                rung.promote(chosen)
                configurations = [each.configuration for each in chosen]
                return self.train(configurations, key[1], self._next_rung(best[0]))
        return []

    def _next_rung(self, seen: Seen) -> int:
        return next(rung for rung in self.rungs(seen.configuration) if rung > seen.epochs)
