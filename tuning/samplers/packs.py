"""Successive halving whose draws are filled by a model of the space."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from tuning.samplers.jobs import Wanted
from tuning.samplers.pool import Candidates, Pool
from tuning.samplers.protocol import LOSS, Goal, Programs, Signal
from tuning.samplers.registry import register
from tuning.samplers.rungs import RungSampler, Seen
from tuning.samplers.surrogate import Surrogate
from tuning.space.parameters import Choice
from tuning.trial import Outcome

COMPILE_SECONDS = 1.3  # of a new program, in the seconds of `Programs.epoch_seconds`
FIRST = 4  # programs that are spread over the space, before the model chooses
HITS = 0.05  # of the candidates, which a draw from the model holds to be the best
TEMPER = 0.3  # of the draws from the model
CHANCE, BAR, MEMBER, SPREAD, COSTPOW, ADD = False, 0.05, 0.04, 0.2, 1.0, False
OWN = 0.5  # of how far a training was from its expectation, what it is thought to keep


@register("packs", title="packs by a model")
class PacksSampler(RungSampler):
    """Draw the program with the most promising members, and have the best go on to the end.

    The first draws are spread over the space. Then a Bayesian linear model of hyperparameters and
    their pairs learns all scores, and a function is drawn from what it holds possible; a program is
    worth the number of its candidates that this function has among the best, for each second of
    compiling and training. Members that are in the best of `reduction` after the first rung go on
    straight to the end, in the order of the model's mean.

    Parameters
    ----------
    space, seed, trials, **settings
        As `RungSampler`.
    """

    def __init__(self, space: Any, seed: int, trials: int, **settings: Any) -> None:
        super().__init__(space, seed, trials, **settings)
        self._numbers = np.random.default_rng(seed)
        self._paused: dict[str, Seen] = {}
        self._scores: dict[str, float] = {}
        self._reached = 0
        self._gone = 0
        self._drawn = 0
        self._compiled: set[Hashable] = set()
        self._orders: dict[str, list[int]] = {}

    def meet(self, programs: Programs, goal: Goal = LOSS) -> None:
        """Hear how configurations share programs, and what is sought."""
        super().meet(programs, goal)
        self._model = Surrogate(self._space, self.longest, goal.mode)
        self._pool = Pool(self._space, self.drawing, programs, self._model.encode, self.training)

    def next_job(self) -> Sequence[Wanted] | Signal:
        """Those that go on, of one program; or else a draw."""
        if chosen := self._going_on():
            until = self.rungs(chosen[0].configuration)[-1]
            return self.train([each.configuration for each in chosen], chosen[0].epochs, until)
        members = self.next_start() or self._draw()
        if not members:
            return self.idle()
        self._drawn += 1
        self._compiled.add(self.program_of(members[0]))
        return self.begin(members)

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Have the model learn the scores, and note what may go on."""
        seen = self.seen(outcomes)
        scores = {
            self.training(each.trial.configuration): self.goal.score(each) for each in outcomes
        }
        own = [scores[self.training(each.configuration)] for each in seen]
        self._model.add([each.configuration for each in seen], [each.epochs for each in seen], own)
        for each, score in zip(seen, own, strict=True):
            rungs = self.rungs(each.configuration)
            if each.epochs < rungs[-1]:
                self._reached += 1
                if each.worth > float("-inf"):
                    key = self.training(each.configuration)
                    self._paused[key], self._scores[key] = each, score

    def _going_on(self) -> list[Seen]:
        """The best of those that may go on, with the others of its program."""
        free = self._reached // self.reduction - self._gone
        if free <= 0 or not self._paused:
            return []
        keys = list(self._paused)
        all_paused = [self._paused[key] for key in keys]
        rows = self._model.encode([each.configuration for each in all_paused])
        epochs = [each.epochs for each in all_paused]
        above = self._model.residuals(rows, epochs, [self._scores[key] for key in keys])
        mean, sd = self._model.predict(rows)
        value = mean + OWN * above
        if CHANCE:
            allv = (
                np.concatenate(
                    [
                        self._model.mean(np.concatenate([o.rows for _, o in self._pool.groups()])),
                        value,
                    ]
                )
                if self._pool.groups()
                else value
            )
            bar = np.quantile(allv, 1 - BAR)
            cost = np.array(
                [
                    MEMBER
                    + (self.longest - e.epochs) * self.programs.epoch_seconds(e.configuration)
                    for e in all_paused
                ]
            )
            from scipy.special import ndtr

            value = np.log(ndtr((value - bar) / np.sqrt(sd**2 + SPREAD**2))) - COSTPOW * np.log(
                cost
            )
        order = np.argsort(-value, kind="stable")[:free]
        lead = all_paused[order[0]]

        def group(seen: Seen) -> Hashable:
            program = self.program_of(seen.configuration)
            return program, seen.epochs, self.rungs(seen.configuration)[-1]

        chosen = [i for i in order if group(all_paused[i]) == group(lead)][: self.members]
        self._gone += len(chosen)
        for i in chosen:
            del self._paused[keys[i]]
        return [all_paused[i] for i in chosen]

    def _draw(self) -> list[dict[str, Any]]:
        if self.room <= 0:
            return []
        if self._drawn < FIRST:
            return self._apart(self._spread(self._drawn))
        self._pool.renew()
        program, places = self._choose(self._pool.groups())
        return self._pool.take(program, places) if places else []

    def _choose(self, groups: list[tuple[Hashable, Candidates]]) -> tuple[Hashable, list[int]]:
        """The program with the most hits a second, and which of its candidates are hits."""
        if not groups:
            return None, []
        rows = np.concatenate([own.rows for _, own in groups])
        values = self._model.sample(rows, self._numbers, TEMPER)
        bar = np.quantile(values, 1 - HITS)
        most = min(self.members, self.room)
        best: tuple[float, Hashable, list[int]] = (-1.0, None, [])
        start = 0
        for program, own in groups:
            each = values[start : start + len(own.rows)]
            start += len(own.rows)
            hits = min(int((each >= bar).sum()), most)
            fresh = hits if program is None else program not in self._compiled
            seconds = COMPILE_SECONDS * fresh + hits * own.epoch_seconds * self.longest
            if hits and hits / seconds > best[0]:
                places = np.argsort(-each, kind="stable")[:hits]
                best = hits / seconds, program, [int(place) for place in places]
        return best[1:]

    def _apart(self, first: dict[str, Any]) -> list[dict[str, Any]]:
        """New members of a program that are far from each other: each as far as can be."""
        n = min(self.members, self.room)
        program = self.program_of(first)
        self._pool.fill(program, first)
        groups = [own for each, own in self._pool.groups() if each == program]
        if not groups:
            return []
        rows = groups[0].rows
        places = [int(self._numbers.integers(len(rows)))]
        near = np.full(len(rows), np.inf)
        while len(places) < min(n, len(rows)):
            distances = np.abs(rows - rows[places[-1]]).sum(axis=1)
            near = np.minimum(near, distances) if not ADD else near + 0
            near = np.minimum(near, distances)
            near[places] = -1
            ties = np.flatnonzero(near == near.max())
            places.append(int(self._numbers.choice(ties)))
        return self._pool.take(program, places)

    def _spread(self, number: int) -> dict[str, Any]:
        """The number-th of configurations that differ in every axis with a list of values."""
        if not self._orders:
            for name, parameter in self._space.parameters.items():
                spread = isinstance(parameter, Choice) and name not in self.drawing.likely
                if spread and name not in self.programs.lifted:
                    n = len(parameter.values or ())
                    self._orders[name] = [int(i) for i in self._numbers.permutation(n)]
        known = {
            name: self._space.parameters[name].values[order[number % len(order)]]
            for name, order in self._orders.items()
            if name != "epochs"
        }
        return self.drawing.one(self.programs, known)
