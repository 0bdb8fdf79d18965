"""Successive halving whose draws are filled by a model of the space."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from tuning.errors import TuningError, quoted
from tuning.samplers.jobs import Wanted
from tuning.samplers.pool import Candidates, Pool
from tuning.samplers.protocol import Signal
from tuning.samplers.registry import register
from tuning.samplers.rungs import RungSampler, Seen
from tuning.space.parameters import Choice
from tuning.trial import Outcome

COMPILE_SECONDS = 1.3
MEMBERS_A_SECOND = 2.8  # that a compile takes: what takes long is worth more members
MOST = 16  # members
FIRST = 4  # programs that are spread over the space, before the model chooses
TOP = 0.05  # the share of the candidates that counts as the best
TEMPER = 0.3  # of the draws from the model
OWN = 0.5  # of how far a training was from its expectation, what it is thought to keep


@register("packs", title="model-guided packs")
class PacksSampler(RungSampler):
    """Draw the program with the most promising members, and have the best go on to the end.

    The first draws are spread over the space. Then a Bayesian linear model of hyperparameters and
    their pairs learns all scores, and a function is drawn from what it holds possible: a program is
    worth the number of its candidates that this function has among the best of all, for each second
    of compiling and training. Once the first programs are drawn, one in `reduction` of the
    trainings that reached the first rung goes on, straight to the end: those with the highest
    chance, for each second that they take, to be among the best.

    Seconds are guesses that are the same on every machine, so that decisions are.

    Source: draws from the posterior as in Thompson, Biometrika 25 (1933); the chance as the
    probability of improvement of Kushner, Journal of Basic Engineering 86 (1964).

    Parameters
    ----------
    space, seed, trials, **settings
        As `RungSampler`.
    compile_seconds : float
        What a new program costs, in the seconds of `Programs.epoch_seconds`.
    members : int, optional
        Configurations of one program that are drawn together; the more, the longer a compile takes,
        unless told.

    Raises
    ------
    TuningError
        For a setting out of its range.
    """

    def __init__(
        self,
        space: Any,
        seed: int,
        trials: int,
        *,
        compile_seconds: float = COMPILE_SECONDS,
        members: int | None = None,
        **settings: Any,
    ) -> None:
        _check_seconds(compile_seconds)
        if members is None:
            members = min(max(1, round(MEMBERS_A_SECOND * compile_seconds)), MOST)
        super().__init__(space, seed, trials, members=members, **settings)
        self.compile_seconds = compile_seconds
        self._numbers = np.random.default_rng(seed)
        self._paused: dict[str, Seen] = {}
        self._reached = 0
        self._gone = 0
        self._drawn = 0
        self._compiled: set[Hashable] = set()
        self._orders: dict[str, list[Any]] = {}

    def prepare(self) -> None:
        """Make the model."""
        from tuning.samplers.surrogate import Surrogate

        self._model = Surrogate(self._space, self.longest, self.goal.mode)
        self._pool = Pool(
            self._space, self.drawing, self.programs, self._model.encode, self.training
        )
        self._orders = self._shuffled()

    def begin_from(self, outcomes: Sequence[Outcome]) -> None:
        """Have the model learn the outcomes of an earlier run, so that it knows the space."""
        self._model.add(
            [each.trial.configuration for each in outcomes],
            [min(each.trial.epochs, self.longest) for each in outcomes],
            [self.goal.score(each) for each in outcomes],
        )
        self._drawn = FIRST

    def next_job(self) -> Sequence[Wanted] | Signal:
        """Those that go on, of one program; or else a draw. The first draws go before."""
        chosen = self._going_on() if self._drawn >= FIRST else []
        if not chosen and (members := self.next_start() or self._draw()):
            self._drawn += 1
            self._compiled.add(self.program_of(members[0]))
            return self.begin(members)
        if chosen := chosen or self._going_on():
            until = self.rungs(chosen[0].configuration)[-1]
            return self.train([each.configuration for each in chosen], chosen[0].epochs, until)
        return self.idle()

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Have the model learn the scores, and note what may go on."""
        seen = self.seen(outcomes)
        self._model.add(
            [each.configuration for each in seen],
            [each.epochs for each in seen],
            [self.goal.score_of(each.worth) for each in seen],
        )
        for each in seen:
            if each.epochs < self.rungs(each.configuration)[-1]:
                self._reached += 1
                if each.worth > float("-inf"):
                    self._paused[self.training(each.configuration)] = each

    def _going_on(self) -> list[Seen]:
        """The best of those that may go on, with the others of its program."""
        free = self._reached // self.reduction - self._gone
        if free <= 0 or not self._paused:
            return []
        paused = list(self._paused.values())
        best = [paused[i] for i in np.argsort(-self._chances(paused), kind="stable")[:free]]
        lead = self._place(best[0])
        chosen = [each for each in best if self._place(each) == lead][: self.members]
        self._gone += len(chosen)
        for each in chosen:
            del self._paused[self.training(each.configuration)]
        return chosen

    def _chances(self, paused: Sequence[Seen]) -> np.ndarray:
        """The logarithm of each one's chance to be among the best, a second that it takes."""
        from scipy.special import log_ndtr

        rows = self._model.encode([each.configuration for each in paused])
        above = self._model.residuals(
            rows,
            [each.epochs for each in paused],
            [self.goal.score_of(each.worth) for each in paused],
        )
        mean, sd = self._model.predict(rows)
        mean = mean + OWN * above
        others = [self._model.mean(own.rows) for _, own in self._pool.groups()]
        bar = np.quantile(np.concatenate([mean, *others]), 1 - TOP)
        chance = log_ndtr((mean - bar) / np.hypot(sd, self._model.prior.noise))
        seconds = [
            (self.rungs(each.configuration)[-1] - each.epochs)
            * self.programs.epoch_seconds(each.configuration)
            for each in paused
        ]
        chances: np.ndarray = chance - np.log(seconds)
        return chances

    def _place(self, seen: Seen) -> Hashable:
        """What trainings have in common that can go on together."""
        program = self.program_of(seen.configuration)
        return program, seen.epochs, self.rungs(seen.configuration)[-1]

    def _draw(self) -> list[dict[str, Any]]:
        """New members of the program that is worth most, or of one of the first."""
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
        bar = np.quantile(values, 1 - TOP)
        best: tuple[float, Hashable, list[int]] = (0.0, None, [])
        start = 0
        for program, own in groups:
            each = values[start : start + len(own.rows)]
            start += len(own.rows)
            hits = min(int((each >= bar).sum()), self.members)
            compiles = hits if program is None else int(program not in self._compiled)
            seconds = self.compile_seconds * compiles + hits * own.epoch_seconds * self.longest
            if hits and hits / seconds > best[0]:
                places = np.argsort(-each, kind="stable")[:hits]
                best = hits / seconds, program, [int(place) for place in places]
        return best[1], best[2][: self.room]

    def _apart(self, first: dict[str, Any]) -> list[dict[str, Any]]:
        """New members of a program, each as far from the others as can be."""
        program = self.program_of(first)
        own = self._pool.fill(program, first)
        if own is None:
            return []
        places = [int(self._numbers.integers(len(own.rows)))]
        nearest = np.full(len(own.rows), np.inf)
        while len(places) < min(self.members, self.room, len(own.rows)):
            distance = np.abs(own.rows - own.rows[places[-1]]).sum(axis=1)
            nearest = np.minimum(nearest, distance)
            nearest[places] = -1
            places.append(int(self._numbers.choice(np.flatnonzero(nearest == nearest.max()))))
        return self._pool.take(program, places)

    def _spread(self, number: int) -> dict[str, Any]:
        """The number-th of configurations that have each another value of each list."""
        known = {name: order[number % len(order)] for name, order in self._orders.items()}
        return self.drawing.one(self.programs, known)

    def _shuffled(self) -> dict[str, list[Any]]:
        """The values of all lists that change the program and have no prior, each shuffled."""
        orders = {}
        for name, parameter in self._space.parameters.items():
            if name in self.programs.lifted | self.drawing.likely | {"epochs"}:
                continue
            if isinstance(parameter, Choice):
                places = self._numbers.permutation(len(parameter.options))
                orders[name] = [parameter.options[place] for place in places]
        return orders


def _check_seconds(value: Any) -> None:
    """Refuse what are no seconds."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise TuningError(f"compile_seconds takes a number of seconds from 0, not {quoted(value)}")
