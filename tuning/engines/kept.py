"""What a worker keeps in memory of the programs it has trained, for the next packs of the same.

A strategy that learns asks the same worker for the same program again: for other members, or for
some of the earlier ones to go on. Four things are kept, each under all that it depends on, so that
what differs in any of it is never taken:

- what a configuration's model does, by problem, data, configuration and seed: nothing is built or
  traced for a member that goes on;
- the traces of a program for other sizes of batches, and which of its numbers and variables members
  had their own of: these stay so in later packs, even where their members agree;
- what a frozen part of a network makes of the data, for all programs that begin with it;
- compiled functions, by operations, shapes, and the values of all that is part of their code.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np

from tuning.packing.sameness import Steps, numbers_that_differ
from tuning.problem.data import Arrays, Data, map_arrays
from tuning.problem.problem import Problem, takes_configuration

PROGRAMS = 8
STEPS_BYTES = 64 * 2**20
MEMORY_SHARE = 0.25  # of the machine's memory, that the rows kept by all its CPUs' workers may fill
TRACED_BYTES = 1200  # that a value of a trace takes, about: 1.1 MB for 919 operations

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values that were used last, by key, as long as they are not too large together.

    Parameters
    ----------
    limit : callable
        How large they may be together.
    """

    def __init__(self, limit: Callable[[], float]) -> None:
        self._limit = limit
        self._values: OrderedDict[Hashable, tuple[Value, float]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, if there is one."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Hashable, value: Value, size: float = 1) -> Value:
        """Keep a value, and let go of those that were not used for longest."""
        self._values[key] = value, size
        self._values.move_to_end(key)
        while sum(each for _, each in self._values.values()) > self._limit():
            self._values.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        """Let go of all."""
        self._values.clear()


@dataclass(eq=False)
class Family:
    """What packs of one program have in common, whoever is in them.

    Attributes
    ----------
    problem : Problem
        Whose models they are.
    first : Steps
        Of its first member ever, without variables.
    lifted : list of set of int
        For each trace, the places of the numbers of which members had their own.
    again : dict of int to Steps
        What the first member does with the batches of each further size.
    begun : dict of hashable to set of int
        By what packs are alike in, the places of the variables of which members had their own
        when they began.
    """

    problem: Problem
    first: Steps
    lifted: list[set[int]] = field(default_factory=lambda: [set(), set(), set(), set()])
    again: dict[int, Steps] = field(default_factory=dict)
    begun: dict[Hashable, set[int]] = field(default_factory=dict)

    def numbers(self, members: Sequence[Steps]) -> list[dict[int, np.ndarray]]:
        """The numbers of a pack's members that differ in it, or did in the family before."""
        all_differing = numbers_that_differ([self.first, *members])
        for own, differing in zip(self.lifted, all_differing, strict=True):
            own.update(differing)
        traces = zip(*(member.numbers for member in members), strict=True)
        return [
            {place: np.stack([own[place] for own in numbers]) for place in sorted(lifted)}
            for lifted, numbers in zip(self.lifted, traces, strict=True)
        ]

    def begins_with(self, differing: Set[int], alike: Hashable) -> set[int]:
        """The variables that differ as a pack begins, or did in packs before that are alike."""
        places = self.begun.setdefault(alike, set())
        places.update(differing)
        return set(places)


@dataclass(eq=False)
class Functions:
    """The compiled functions of a program for a number of members.

    Attributes
    ----------
    compiled : dict of (str, tuple) to compiled function
        By name and options of the compiler.
    seconds : float
        An epoch takes, as measured last.
    """

    compiled: dict[Hashable, Any] = field(default_factory=dict)
    seconds: float = 0.0


def memory_limit() -> float:
    """The bytes of rows that a worker may keep."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return MEMORY_SHARE * machine / (os.cpu_count() or 1)


_looked: Recent[tuple[tuple[Steps, Set[str]], Problem, Data]] = Recent(lambda: STEPS_BYTES)
_families: Recent[Family] = Recent(lambda: PROGRAMS)
_functions: Recent[dict[int, Functions]] = Recent(lambda: PROGRAMS)
_rows: Recent[tuple[list[np.ndarray], Arrays]] = Recent(memory_limit)


def forget_programs() -> None:
    """Let go of all that is kept."""
    for each in (_looked, _families, _functions, _rows):
        each.clear()


def forget_rows() -> None:
    """Let go of what was computed of rows."""
    _rows.clear()


def looked(
    problem: Problem,
    data: Data,
    key: Hashable,
    look: Callable[[], tuple[Steps, Set[str]]],
) -> tuple[Steps, Set[str]]:
    """What a model does and which axes it reads, from memory or by looking.

    Parameters
    ----------
    problem : Problem
    data : dict
        Arrays of the same memory are the same data: while an entry is kept, so is its memory. Where
        the data depends on the configuration, this tells which it is, and no data is kept.
    key : hashable
        All else that it depends on, the configuration with it.
    look : callable
    """
    varies = takes_configuration(problem.load_data)
    whole = id(problem), tuple(data) if varies else _places(data), key
    found = _looked.get(whole)
    if found is not None:
        return found[0]
    steps, read = look()
    numbers = (number.nbytes for own in steps.numbers for number in own)
    values = sum(len(traced.avals) for traced in steps.traces)
    size = sum(value.nbytes for value in steps.state) + sum(numbers) + values * TRACED_BYTES
    return _looked.put(whole, ((steps, read), problem, {} if varies else data), size)[0]


def named(values: Mapping[str, Any]) -> Hashable:
    """A configuration as a key; equal ones of other types, such as 1 and 1.0, have others.

    Raises
    ------
    TypeError
        If a value cannot be part of a key.
    """
    key = tuple((name, _typed(value)) for name, value in values.items())
    hash(key)
    return key


def _typed(value: Any) -> Hashable:
    if isinstance(value, tuple):
        return tuple, tuple(map(_typed, value))
    return type(value), value, repr(value) if isinstance(value, float) else ""


def rows_kept(
    arrays: Arrays, key: Hashable, compute: Callable[[], list[np.ndarray]]
) -> list[np.ndarray]:
    """What was computed of all rows of some arrays, from memory or computed now.

    Parameters
    ----------
    arrays : array, or dict, list or tuple of arrays
        Those of the same memory are the same: while what is made of them is kept, so are they.
    key : hashable
        Of what is done to each row.
    compute : callable
    """
    whole = _places({"": (arrays,)}), key
    found = _rows.get(whole)
    if found is not None:
        return found[0]
    made = compute()
    return _rows.put(whole, (made, arrays), sum(each.nbytes for each in made))[0]


def _places(data: Data) -> Hashable:
    found: list[Hashable] = []

    def note(array: np.ndarray) -> np.ndarray:
        place = array.__array_interface__["data"][0]
        found.append((place, array.shape, array.strides, array.dtype.str))
        return array

    for split, parts in data.items():
        found.append(split)
        map_arrays(note, parts)
    return tuple(found)


def family_of(problem: Problem, steps: Steps, sizes: Hashable) -> Family:
    """The family of a model, a new one if there is none yet.

    Parameters
    ----------
    sizes : hashable
        Of all batches that its packs meet.
    """
    key = id(problem), steps.key, steps.scored_rows, sizes
    return _families.get(key) or _families.put(key, Family(problem, replace(steps, state=[])))


def functions_kept(key: Hashable) -> dict[int, Functions]:
    """The compiled functions of a program by the number of members; empty of a new one.

    Parameters
    ----------
    key : hashable
        All that the functions depend on but that number.
    """
    found = _functions.get(key)
    return _functions.put(key, {}) if found is None else found
