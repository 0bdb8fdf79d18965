"""The space of a search: hyperparameters by name, some of which may exist only beside others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from tuning.errors import TuningError
from tuning.space.parameters import Choice, Fixed, Parameter


class Space:
    """Hyperparameters by name; a configuration has a value of each that exists in it.

    Parameters
    ----------
    parameters : mapping of str to Parameter, list or value
        A list is a `Choice` of its values; any other value is the same in all configurations.

    Raises
    ------
    TuningError
        For a space without parameters, or a condition on one that does not stand before it.

    Examples
    --------
    >>> space = Space({"layers": [1, 2], "second": Choice([8, 16]).when(layers=2), "epochs": 5})
    >>> space.draw(Random(3))
    {'layers': 1, 'epochs': 5}
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        if not parameters:
            raise TuningError("a space needs at least one hyperparameter")
        found: dict[str, Parameter] = {}
        for name, given in parameters.items():
            parameter = _parameter(given)
            for other, _ in parameter.conditions:
                if other not in found:
                    raise TuningError(
                        f"{name!r} depends on {other!r}, which has to stand before it in the space"
                    )
            found[name] = parameter
        self._parameters = found

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The hyperparameters by name, in order; read only."""
        return MappingProxyType(self._parameters)

    @property
    def size(self) -> float:
        """The number of configurations; infinite where a parameter has any number of a range."""
        return math.inf

    def draw(self, random: Random, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A configuration, each value drawn uniformly on its parameter's scale.

        Parameters
        ----------
        random : Random
        known : mapping, optional
            Values that are not drawn, where they exist.
        """
        known = known or {}
        configuration: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.exists(configuration):
                drawn = name not in known
                configuration[name] = parameter.draw(random) if drawn else known[name]
        return configuration

    def place(self, configuration: Mapping[str, Any]) -> int | None:
        """The configuration's place in the grid; None where the space is no grid."""
        return None


def _parameter(given: Any) -> Parameter:
    if isinstance(given, Parameter):
        return given
    return Choice(given) if isinstance(given, list) else Fixed(given)
