"""Draws of configurations: from likely regions first, several of one program together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

from tuning.errors import TuningError, quoted
from tuning.samplers.protocol import Programs
from tuning.space.parameters import Float, Int, Parameter
from tuning.space.space import Space
from tuning.trial import KERAS_EPOCHS, Outcome

RECALLED = 10  # configurations of an earlier run that are tried first
TRIES = 300  # draws in a row that are all known, after which a space counts as used up

Likely = Mapping[str, Mapping[str, float]]
"""By hyperparameter: weights of its values as text, or ``mean`` and ``width``."""


class Drawing:
    """Draws configurations of a space, none twice.

    Parameters
    ----------
    space : Space
    random : Random
    prior : mapping
        Where good values are likely: of each hyperparameter named, either the weight of each value
        (those not named have 1), or the ``mean`` and ``width`` of a normal distribution; the width
        is a standard deviation as a share of the range, on its scale.

    Raises
    ------
    TuningError
        For a prior of what the space does not have.

    Attributes
    ----------
    longest : int
        The largest epochs that a configuration may have.
    likely : frozenset of str
        The hyperparameters that have a prior.
    """

    def __init__(self, space: Space, random: Random, prior: Likely | None = None) -> None:
        self._space = space
        self._random = random
        self._likely = {
            name: _draw_of(name, space.parameters, own) for name, own in (prior or {}).items()
        }
        self.likely = frozenset(self._likely)
        self._known: set[str] = set()
        self.longest = longest_epochs(space)

    def note(self, key: str) -> bool:
        """Note a training by its key; whether it is new."""
        new = key not in self._known
        self._known.add(key)
        return new

    def knows(self, key: str) -> bool:
        """Whether a training was noted."""
        return key in self._known

    def one(self, programs: Programs, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A configuration, with the values that are given."""
        values = {name: draw(self._random) for name, draw in self._likely.items()}
        if programs.free_epochs and "epochs" in self._space.parameters:
            values["epochs"] = self.longest
        return self._space.draw(self._random, {**values, **(known or {})})

    def like(self, configuration: Mapping[str, Any], programs: Programs) -> dict[str, Any] | None:
        """Another configuration of the same program; None if the draw is of another one.

        Where no configurations share programs it is any.
        """
        program = programs.program(configuration)
        if program is None:
            return self.one(programs)
        lifted = programs.lifted
        kept = {name: value for name, value in configuration.items() if name not in lifted}
        drawn = self.one(programs, kept)
        return drawn if programs.program(drawn) == program else None

    def members(
        self,
        n: int,
        programs: Programs,
        key: Callable[[Mapping[str, Any]], str],
        first: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """New configurations of one program, at most `n`; none if the space seems to be used up.

        Parameters
        ----------
        n : int
        programs : Programs
        key : callable
            What configurations have in common that are of the same training.
        first : mapping, optional
            Of the program wanted; it is among them if it is new.
        """
        found: list[dict[str, Any]] = []
        base = dict(first) if first is not None else None
        tries = 0
        while len(found) < n and tries < TRIES:
            if base is None:
                drawn: dict[str, Any] | None = self.one(programs)
            elif first is not None and not tries:
                drawn = base
            else:
                drawn = self.like(base, programs)
            tries += 1
            if drawn is not None and self.note(key(drawn)):
                found.append(drawn)
                base, tries = drawn, max(1, tries - n)
            elif found and tries > TRIES // 10:
                break
        return found


def configuration_of(space: Space, given: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration to start with, with labels for values.

    Raises
    ------
    TuningError
        If it is not of the space.
    """
    try:
        return space.labels(given)
    except TuningError as error:
        raise TuningError(f"a configuration to start with is not of the space: {error}") from None


def best_of(outcomes: Iterable[Outcome], key: Callable[[Mapping[str, Any]], str]) -> list[Any]:
    """The configurations of an earlier run to try first: its best, of each training one.

    Parameters
    ----------
    outcomes : iterable of Outcome
        The best first.
    key : callable
        What configurations have in common that are of the same training.
    """
    found: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        if outcome.status in ("ok", "stopped"):
            found.setdefault(key(outcome.trial.configuration), outcome.trial.configuration)
        if len(found) == RECALLED:
            break
    return list(found.values())


def longest_epochs(space: Space) -> int:
    """The largest epochs that a configuration of the space may have."""
    parameter = space.parameters.get("epochs")
    if parameter is None:
        return KERAS_EPOCHS
    values = parameter.values
    return int(max(values)) if values else int(parameter.high)  # type: ignore[attr-defined]


def _draw_of(
    name: str, parameters: Mapping[str, Parameter], likely: Mapping[str, float]
) -> Callable[[Random], Any]:
    """Draws a value of a hyperparameter by its prior."""
    if name not in parameters:
        raise TuningError(f"there is a prior of {name!r}, which is not in the space")
    parameter = parameters[name]
    values = parameter.values
    if set(likely) == {"mean", "width"}:
        return _normal(name, parameter, likely["mean"], likely["width"])
    if values is None:
        raise TuningError(f"the prior of {name!r} needs a mean and a width: it has a range")
    if unknown := set(likely) - {str(value) for value in values}:
        raise TuningError(
            f"the prior of {name!r} has a weight of {quoted(min(unknown))}, which is not a value "
            "of it"
        )
    weights = [float(likely.get(str(value), 1.0)) for value in values]
    if min(weights) < 0 or not sum(weights) > 0:
        raise TuningError(f"the prior of {name!r} needs weights of 0 or more, not all 0")
    return lambda random: random.choices(values, weights)[0]


def _normal(name: str, parameter: Parameter, mean: Any, width: Any) -> Callable[[Random], Any]:
    if not isinstance(parameter, Float | Int):
        raise TuningError(f"the prior of {name!r} has a mean and a width, but it has no range")
    if (
        isinstance(mean, bool)
        or not isinstance(mean, int | float)
        or not (parameter.low <= mean <= parameter.high)
    ):
        raise TuningError(
            f"the prior of {name!r} has the mean {quoted(mean)}, which is not between "
            f"{parameter.low} and {parameter.high}"
        )
    if isinstance(width, bool) or not isinstance(width, int | float) or not width > 0:
        raise TuningError(f"the prior of {name!r} has the width {quoted(width)}, not above 0")
    middle = parameter.position(mean)

    def draw(random: Random) -> Any:
        while True:
            place = random.gauss(middle, width)
            if 0 <= place <= 1:
                return parameter.at(place)
            if random.random() < 0.01:  # a width of many ranges: as good as uniform
                return parameter.at(random.random())

    return draw
