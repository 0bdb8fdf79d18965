"""Keep the exact weights of the best trials of each strategy, as files that plain Keras loads.

While a worker trains, a trial that is among the best of a strategy so far has its variables copied
when it ends. At the worker's next report a model is made of each copy that is still among the best.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tuning.engines.saving import saved
from tuning.engines.weights import Weights
from tuning.errors import first_line
from tuning.problem.data import Data
from tuning.problem.problem import Problem
from tuning.trial import KeptModel, Outcome, Trial

Rank: TypeAlias = tuple[float, int]  # of the value, negated where more is better, and the number


@dataclass(frozen=True)
class Keep:
    """The request to keep weights: of how many trials, and by which metric.

    Attributes
    ----------
    metric : str
        The score that ranks trials, as in `Outcome.metrics`: ``val_accuracy``.
    mode : {"max", "min"}
        Whether more or less of it is better.
    n : int
        How many models of each strategy to keep.
    optimizer : bool
        Whether to keep the optimizer's state, too; without it a loaded model's optimizer is new.
    wanted : mapping of Trial.key to tuple of (str, int)
        For each trial, the strategies that asked for it and its number in each.
    bars : mapping of str to tuple of (float, int)
        For each strategy, the value and number of each trial that is kept already.
    """

    metric: str
    mode: Literal["max", "min"]
    n: int = 1
    optimizer: bool = False
    wanted: Mapping[Hashable, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    bars: Mapping[str, Sequence[tuple[float, int]]] = field(default_factory=dict)


@dataclass
class _Held:
    """A trial's weights, until a model is made of them."""

    trial: Trial
    weights: Weights
    ranks: dict[str, Rank]


class Keeper:
    """Holds the weights of the best of each strategy, at most `Keep.n` of each.

    Better values rank first, and of equal ones the trial that its strategy asked for first. Trials
    that are not ``ok``, or whose value is not finite, are never kept.

    Parameters
    ----------
    keep : Keep
    problem : Problem
    data : dict
        As `problem.load_data` returned it, checked.
    """

    def __init__(self, keep: Keep, problem: Problem, data: Data) -> None:
        self._keep, self._problem, self._data = keep, problem, data
        self._best: dict[str, list[Rank]] = {
            strategy: sorted(self._rank(*bar) for bar in bars)[: keep.n]
            for strategy, bars in keep.bars.items()
        }
        self._held: dict[Hashable, _Held] = {}

    def _rank(self, value: float, number: int) -> Rank:
        return (-value if self._keep.mode == "max" else value), number

    def wants(self, trial: Trial) -> bool:
        """Whether a strategy that keeps models asked for the trial."""
        return trial.key in self._keep.wanted

    def offer(self, outcome: Outcome, weights: Callable[[], Weights]) -> None:
        """Hold a trial's weights if it is among the best of a strategy that asked for it.

        Parameters
        ----------
        outcome : Outcome
        weights : callable
            Copies them; called only if they are to be held.
        """
        trial, keep = outcome.trial, self._keep
        value = outcome.metrics.get(keep.metric, math.nan)
        if outcome.status != "ok" or not math.isfinite(value):
            return
        ranks = {}
        for strategy, number in keep.wanted.get(trial.key, ()):
            best, rank = self._best.setdefault(strategy, []), self._rank(value, number)
            if rank in best:  # it is kept already
                continue
            bisect.insort(best, rank)
            del best[keep.n :]
            if rank in best:
                ranks[strategy] = rank
        if ranks:
            self._held[trial.key] = _Held(trial, weights(), ranks)
            self._held = {key: held for key, held in self._held.items() if self._leads(held)}

    def _leads(self, held: _Held) -> tuple[tuple[str, int], ...]:
        """The strategies of which it is still among the best, and its number in each."""
        return tuple(
            (name, rank[1]) for name, rank in held.ranks.items() if rank in self._best[name]
        )

    def models(self) -> list[KeptModel]:
        """The models of all that is held, which is then held no longer."""
        held, self._held = self._held, {}
        return [self._kept(each) for each in held.values()]

    def _kept(self, held: _Held) -> KeptModel:
        try:
            plain, content, why = saved(
                self._problem, self._data, held.trial, held.weights, self._keep.optimizer
            )
        except Exception as error:  # of the user's code; the trial's row counts all the same
            plain, content, why = False, b"", f"it cannot be saved: {first_line(error)}"
        return KeptModel(held.trial, self._leads(held), plain, content, why)
