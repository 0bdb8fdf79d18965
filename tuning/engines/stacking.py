"""Which variables of a program its members have each their own of, and how these are stacked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from tuning.engines.parts import OTHER_TEST, Part, Parts
from tuning.engines.rewrites.zero_columns import columns_of
from tuning.packing.sameness import Steps
from tuning.packing.trace import Atom, Body, Number, Slot

STEPS = ("train", "test", OTHER_TEST)


def stacked_variables(
    members: Sequence[Steps],
    parts: Parts,
    apart: bool,
    ragged: bool = False,
    *,
    begun: Collection[int],
) -> list[bool]:
    """Of each variable, whether members may come to have different values of it.

    One that begins equal in all and is only ever computed from what is equal stays equal: frozen
    variables, the optimizer's count of steps, the states of seed generators. The metrics' are
    taken to differ.

    Parameters
    ----------
    members : sequence of Steps
    parts : dict
    apart : bool
        Whether members read different rows.
    ragged : bool
        Whether some go through fewer steps than others: then all that a step changes may differ.
    begun : collection of int
        Places of the variables that may differ from the beginning.
    """
    trainable, non_trainable, optimizer, metrics = members[0].sizes
    weights, others = [*range(trainable)], [*range(trainable, trainable + non_trainable)]
    kept = [*range(trainable + non_trainable, trainable + non_trainable + optimizer)]
    scores = [*range(sum(members[0].sizes) - metrics, sum(members[0].sizes))]
    taken = {  # the variables that each step takes, and from which on it gives them back
        "train": ([*weights, *others, *kept, *scores], 0),
        "test": ([*weights, *others, *scores], trainable),
        OTHER_TEST: ([*weights, *others, *scores], trainable),
        "finish": ([*weights, *kept], 0),
        "results": (scores, metrics),
    }
    stacked = [place in begun for place in range(sum(members[0].sizes))]
    stacked[scores[0] if scores else len(stacked) :] = [True] * metrics
    known = -1
    while sum(stacked) > known:
        known = sum(stacked)
        for (name, _), part in parts.items():
            places, first = taken[name]
            varies = _varies(part, [stacked[place] for place in places], apart)
            body = part.traced.body
            moves = ragged and name in STEPS
            own = zip(places[first:], body.inputs[first:], body.outputs, strict=False)
            for place, before, after in own:
                stacked[place] |= varies(after) or (moves and after != before)
    return stacked


def stacking_axes(part: Part, stacked: Sequence[bool]) -> list[int | None]:
    """On which axis each variable is stacked: the second for kernels that meet rows all share.

    Parameters
    ----------
    part : Part
        Of training, where members read the same rows.
    stacked : sequence of bool
        As `stacked_variables` returned it.
    """
    axes: list[int | None] = [0 if each else None for each in stacked]
    varies = _varies(part, stacked, apart=False)
    inputs, avals = part.traced.body.inputs, part.traced.avals
    for operation in part.traced.body.operations:
        for rows in operation.inputs if operation.name == "dot_general" else ():
            if not isinstance(rows, Slot) or varies(rows) or avals[rows.index].ndim != 2:
                continue
            columns = columns_of(part.traced, rows, 0)
            for place in columns.kernels if columns else ():
                index = inputs[place].index
                if place < len(axes) and axes[place] == 0 and avals[index].ndim == 2:
                    axes[place] = 1 if columns and columns.axes[index] == 0 else 0
    return axes


def _varies(part: Part, stacked: Sequence[bool], apart: bool) -> Callable[[Atom], bool]:
    """Find the values of a trace that differ between members.

    Parameters
    ----------
    part : Part
    stacked : sequence of bool
        Of its first inputs; the others are rows.
    apart : bool
        Of the rows.
    """
    body = part.traced.body
    flags = [*stacked, *[apart] * (len(body.inputs) - len(stacked))]
    varying = {slot.index for slot, each in zip(body.inputs, flags, strict=True) if each}

    def varies(atom: Atom) -> bool:
        return atom.index in (varying if isinstance(atom, Slot) else part.numbers)

    for operation in body.operations:
        inner = (number for each in operation.bodies for number in _numbers(each))
        if any(map(varies, [*operation.inputs, *inner])):
            varying.update(slot.index for slot in operation.outputs)
    return varies


def _numbers(body: Body) -> Iterator[Number]:
    """The numbers that a loop's operations take."""
    for atoms in (body.outputs, *(operation.inputs for operation in body.operations)):
        yield from (atom for atom in atoms if isinstance(atom, Number))
    for operation in body.operations:
        for inner in operation.bodies:
            yield from _numbers(inner)
