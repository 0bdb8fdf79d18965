"""The interface between the loop and a search strategy."""

from __future__ import annotations

import enum
import inspect
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from tuning.errors import TuningError
from tuning.space.given import as_grid
from tuning.space.grid import Grid
from tuning.space.space import Space
from tuning.trial import Outcome, Trial, epochs

CHUNK = 100_000  # trials asked for at once, where all are


class Signal(enum.Enum):
    """A sampler's answer in place of trials."""

    WAIT = "it has to hear more outcomes before it can go on"
    FINISHED = "it has no more trials"


WAIT, FINISHED = Signal.WAIT, Signal.FINISHED


class Programs(Protocol):
    """What a strategy may know of how configurations are trained."""

    def program(self, configuration: Mapping[str, Any]) -> Hashable:
        """What configurations have in common that share a program; None if nothing does."""
        ...

    @property
    def lifted(self) -> frozenset[str]:
        """The hyperparameters of which configurations of one program may have any values."""
        ...

    @property
    def free_epochs(self) -> bool:
        """Whether ``epochs`` says no more than how long to train, so that shorter ones are free."""
        ...

    def epoch_seconds(self, configuration: Mapping[str, Any]) -> float:
        """A guess of what an epoch of the configuration takes, the same on every machine."""
        ...


@dataclass(frozen=True)
class Goal:
    """The score that a search is to make better.

    Attributes
    ----------
    metric : str
        As in `Outcome.metrics`: ``val_accuracy``.
    mode : {"max", "min"}
        Whether more or less of it is better.
    """

    metric: str = "val_loss"
    mode: Literal["max", "min"] = "min"

    def score(self, outcome: Outcome) -> float:
        """The outcome's score; NaN if it has none."""
        return outcome.metrics.get(self.metric, math.nan)

    def worth(self, outcome: Outcome) -> float:
        """A number that is the higher the better; -inf for an outcome without a score."""
        score = self.score(outcome)
        if not math.isfinite(score):
            return -math.inf
        return score if self.mode == "max" else -score

    def score_of(self, worth: float) -> float:
        """The score that has so much worth."""
        return worth if self.mode == "max" else -worth


LOSS = Goal()


class Sampler(ABC):
    """A search strategy: gives trials, and hears what they came to.

    It knows nothing of Ray, Keras or files. The loop hands it every outcome exactly once, in the
    order of the trials' numbers, those of an earlier part of the same run included.

    A strategy whose trial k depends on nothing but its seed and the outcomes of its trials before
    k - lag, for a fixed lag, and that answers `WAIT` until it has heard these, takes the same
    decisions with any number of workers and after any interruption. The price is that it decides
    without the last `lag` outcomes; with more workers than `lag`, some of them idle. `random` and
    `sweep` hear nothing at all, so this holds for them exactly. A resumed run in which a strategy
    asks for another configuration than the run has under that number is refused, so a strategy
    that decides otherwise, by the clock for example, has to log its decisions itself.

    Attributes
    ----------
    name : str
        What it is called on the command line and in the table; set by `register`.
    title : str
        What sentences and figures call it.
    learns : bool
        Whether it has to hear outcomes; if not, all its trials are known beforehand.
    pauses : bool
        Whether it may have a training go on that was trained for fewer epochs before.
    ahead : int
        Jobs that may be trained at once, where `ask` gives a whole job: trials that are best
        trained together, however many; 0 where it gives no more trials than it was asked for.
    n_trials : int
        How many trials it gives in all, at most.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    learns: bool = True
    pauses: bool = False
    ahead: int = 0
    n_trials: int

    @classmethod
    def from_settings(cls, space: Space, seed: int, settings: Mapping[str, Any]) -> Sampler:
        """The sampler that the manifest's settings of a strategy mean.

        Parameters
        ----------
        space : Space
        seed : int
        settings : mapping
            As JSON has them.

        Raises
        ------
        TuningError
            For settings that it does not take.
        """
        make: Any = cls
        known = inspect.signature(make).parameters
        takes_any = any(each.kind is each.VAR_KEYWORD for each in known.values())
        own = [name for name in list(known)[1:] if name != "seed"]
        for name in settings:
            if name not in own and not takes_any:
                raise TuningError(
                    f"the strategy {cls.name!r} has no setting {name!r}: it has {', '.join(own)}"
                )
        sampler: Sampler = make(space, seed=seed, **settings)
        return sampler

    @classmethod
    def going_on(cls, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
        """The settings by which a run that has the old ones is gone on with, if the new are asked.

        Parameters
        ----------
        old, new : mapping
            As JSON has them.
        """
        return dict(new)

    def meet(self, programs: Programs, goal: Goal = LOSS) -> None:  # noqa: B027  many need not know
        """Hear how configurations share programs, and what is sought, before the first `ask`."""

    @abstractmethod
    def ask(self, n: int) -> list[Trial] | Signal:
        """The next trials, at most `n`; or `WAIT`, or `FINISHED`.

        Their numbers count from 0, and no configuration comes twice.
        """

    def tell(self, outcomes: Sequence[Outcome]) -> None:  # noqa: B027  many have nothing to learn
        """Receive outcomes of trials asked for before.

        Those whose ``status`` is not ``ok`` have no metrics.
        """

    def recall(self, outcomes: Sequence[Outcome]) -> None:
        """Hear outcomes of an earlier run, before `meet` and the first `ask`.

        Parameters
        ----------
        outcomes : sequence of Outcome
            Of configurations of this space, the best first; those of trainings that were stopped
            come after all that were trained to the end. Their numbers mean nothing here.

        Raises
        ------
        TuningError
            If the strategy learns nothing from them.
        """
        raise TuningError(f"the strategy {self.name!r} learns nothing from an earlier run")

    def begins_with(self, other: Sampler) -> bool:
        """Whether its first trials are those of another sampler of its kind with fewer."""
        return self.n_trials >= other.n_trials and self.describe() == other.describe()

    def describe(self) -> str:
        """The trials in words, as part of a sentence: ``20 random configurations``."""
        return f"{self.n_trials:,} trials of {self.title or self.name or type(self).__name__}"


class FixedSampler(Sampler):
    """A sampler of a grid that knows all its trials beforehand.

    Parameters
    ----------
    space : Grid
    n_trials : int
    seed : int
        Of the trials.
    """

    learns = False

    def __init__(self, space: Grid, n_trials: int, seed: int) -> None:
        self.n_trials = n_trials
        self._space = space
        self._seed = seed
        self._asked = 0

    @abstractmethod
    def next_index(self, number: int) -> int:
        """The grid index of a trial; called once for each number, in order from 0."""

    def ask(self, n: int) -> list[Trial] | Signal:
        """The next trials, at most `n`."""
        numbers = range(self._asked, min(self._asked + n, self.n_trials))
        self._asked = numbers.stop
        if not numbers:
            return FINISHED
        return [
            trial_at(self._space, self.next_index(number), number, self._seed) for number in numbers
        ]


def trial_at(space: Grid, index: int, number: int, seed: int) -> Trial:
    """The trial of a grid's point."""
    configuration = space[index]
    return Trial(number, configuration, seed, epochs(configuration), index)


def trial_of(space: Space, configuration: dict[str, Any], number: int, seed: int) -> Trial:
    """The trial of a configuration of a space, with labels for values."""
    place = space.place(configuration)
    return Trial(number, configuration, seed, epochs(configuration), place)


def trial_of_point(space: Space, point: int | str, number: int, seed: int) -> Trial:
    """The trial of a configuration that is known by its `Trial.point`."""
    configuration = as_grid(space)[point] if isinstance(point, int) else json.loads(point)
    return trial_of(space, space.labels(configuration), number, seed)


def every_trial(sampler: Sampler) -> Iterator[Trial]:
    """All trials of a sampler that needs to hear no outcomes before it gives them."""
    while isinstance(trials := sampler.ask(CHUNK), list):
        yield from trials
