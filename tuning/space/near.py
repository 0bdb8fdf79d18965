"""Configurations of a space that stand for the others, to be looked at before any is trained."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from tuning.space.grid import Grid
from tuning.space.labels import Value
from tuning.space.parameters import Float, Int, Parameter
from tuning.space.space import Configuration, Space

PROBES = 8
GOLDEN = 0.6180339887498949
FEW = 6  # values of a range of whole numbers that are all looked at


def looked_at(parameter: Parameter) -> Sequence[Value]:
    """The values of a parameter that are looked at."""
    if isinstance(parameter, Int) and len(parameter.values) <= FEW:
        return parameter.values
    if isinstance(parameter, Float | Int):
        ends = parameter.at(0.0), parameter.at(1.0)
        return list(dict.fromkeys([parameter.at(0.5), parameter.at(GOLDEN), *ends]))
    return parameter.values or ()


def completed(space: Space, known: Mapping[str, Value]) -> Configuration:
    """A configuration with known values where they exist, and middle ones of the others."""
    found: Configuration = {}
    for name, parameter in space.parameters.items():
        if parameter.exists(found):
            found[name] = known[name] if name in known else looked_at(parameter)[0]
    return found


def having(space: Space, base: Configuration, name: str) -> Configuration:
    """The configuration, or one near it in which a hyperparameter exists."""
    wanted = dict(base)
    asked = [name]
    while asked:
        for other, values in space.parameters[asked.pop()].conditions:
            if wanted.get(other) not in values:
                wanted[other] = values[0]
            asked.append(other)
    return completed(space, wanted)


def probed(space: Space) -> Iterator[Configuration]:
    """A few configurations: of a grid evenly spaced, else one of middle values, and draws."""
    if isinstance(space, Grid):
        indices = dict.fromkeys(i * space.size // PROBES for i in range(PROBES))
        yield from (space[index] for index in indices)
        return
    yield completed(space, {})
    yield from (space.draw(random.Random(i)) for i in range(1, PROBES))


def another(space: Space, base: Configuration, name: str) -> Configuration | None:
    """The configuration with another value of a hyperparameter; None if it has no other.

    Where the hyperparameter does not exist in it, one near it in which it does.
    """
    if name not in base:
        return having(space, base, name)
    values = looked_at(space.parameters[name])
    other = next((value for value in values if value != base[name]), base[name])
    return None if other == base[name] else completed(space, {**base, name: other})
