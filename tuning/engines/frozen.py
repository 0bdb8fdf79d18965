"""What training never changes is computed once a row: the part of a network that is frozen.

Where the first operations of a traced step take x, and besides it only variables that no step
changes and that all members begin with, what they make of a row is the same in every epoch and for
every member. If each row's result comes from that row alone (`tuning.engines.rewrites.rows`), it is
computed once for all rows of the data, and takes the place of x in the program, whose step then
begins behind these operations. A step that trains and one that scores are cut each for itself:
layers may do something else in training.

Noise ends what is computed once, as do augmented data, a layer that is trained, and moving averages
that are updated. Where the result would not fit in memory, or little arithmetic is saved, nothing
is cut.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tuning.engines.batches import in_floatx
from tuning.engines.evaluation import evaluate
from tuning.engines.kept import memory_limit, rows_kept
from tuning.engines.parts import OTHER_TEST, Part, Parts, Sizes
from tuning.engines.rewrites.rows import Rows, rows_of_results
from tuning.packing.sameness import Steps, variables_that_differ
from tuning.packing.trace import Atom, Body, Number, Operation, Slot, Trace
from tuning.problem.data import Arrays, Data, map_arrays, n_samples, named_arrays, splits_of

LEAST_SHARE = 0.2  # of a step's arithmetic, from which it is computed once
LEAST_FLOPS = 32  # for each number that is kept: to read one from memory takes about as long

COSTLY = ("dot_general", "conv_general_dilated")
OF_ROWS = {"shape", "new_sizes", "limit_indices", "slice_sizes", "sharding", "out_sharding"}
"""Parameters that may count the rows of a batch, and that shapes of results tell."""


@dataclass(frozen=True)
class Prefix:
    """The operations of a step that are computed once for each row of the data.

    Attributes
    ----------
    traced : Trace
        Of the variables in `places` and the leaves of x; it returns what is kept of the rows, each
        with the rows on its first axis.
    places : tuple of int
        Of the variables, among all of a member's.
    leaves : tuple of int
        The leaves of x that are read behind these operations too.
    rest : Trace
        Of the step behind them: in place of x it takes these leaves, then what is kept.
    rows : int
        Of a batch.
    key : str
        Equal where the operations are the same for each row, whatever the rows of a batch.
    operations : int
        How many of the step's it takes over.
    share : float
        Of the step's arithmetic, in products and convolutions.
    """

    traced: Trace
    places: tuple[int, ...]
    leaves: tuple[int, ...]
    rest: Trace
    rows: int
    key: str
    operations: int
    share: float

    @property
    def row_bytes(self) -> int:
        """What is kept of a row."""
        return sum(_bytes(self.traced.avals[slot.index]) for slot in _kept(self)) // self.rows

    def in_place_of(self, x: Arrays, state: Sequence[np.ndarray], *, dry: bool = False) -> Arrays:
        """What the rest takes in place of x.

        Parameters
        ----------
        x : array, or dict, list or tuple of arrays
        state : sequence of array
            The variables of any member.
        dry : bool
            Give zeros of the shapes, and compute nothing.
        """
        import jax

        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(map_arrays(in_floatx, x))]
        fixed = [state[place] for place in self.places]
        if dry:
            made = self._zeros(len(leaves[0]))
        else:
            digest = hashlib.sha256(b"".join(each.tobytes() for each in fixed)).hexdigest()
            key = self.key, digest
            made = rows_kept(x, key, lambda: self._computed(leaves, fixed))
        whole: list[Any] = [*(leaves[i] for i in self.leaves), *made]
        return whole[0] if len(whole) == 1 else whole

    def _zeros(self, n: int) -> list[np.ndarray]:
        avals = (self.traced.avals[slot.index] for slot in _kept(self))
        return [np.zeros((n, *aval.shape[1:]), aval.dtype) for aval in avals]

    def _computed(
        self, leaves: Sequence[np.ndarray], fixed: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """What is kept of all rows, computed in batches; row 0 fills up the last one."""
        import jax

        function = jax.jit(lambda fixed, rows: evaluate(self.traced, {}, [*fixed, *rows]))
        n, kept = len(leaves[0]), self._zeros(len(leaves[0]))
        fixed = jax.device_put(fixed)
        for start in range(0, n, self.rows):
            stop = min(start + self.rows, n)
            numbers = np.zeros(self.rows, np.int64)
            numbers[: stop - start] = np.arange(start, stop)
            made = function(fixed, [np.take(leaf, numbers, axis=0) for leaf in leaves])
            for whole, part in zip(kept, made, strict=True):
                whole[start:stop] = np.asarray(part)[: stop - start]
        return kept


def _kept(prefix: Prefix) -> Iterable[Slot]:
    return (atom for atom in prefix.traced.body.outputs if isinstance(atom, Slot))


def computed_once(
    parts: Parts, members: Sequence[Steps], data: Data, sizes: Sizes
) -> tuple[Parts, dict[str, Prefix]]:
    """Cut from the steps of a program what is computed once for each row.

    Parameters
    ----------
    parts : dict
    members : sequence of Steps
    data : dict
    sizes : Sizes

    Returns
    -------
    parts, prefixes
        The parts without it, and what was cut from each step, by its name.
    """
    fixed = _fixed(parts, members) if LEAST_SHARE <= 1 else frozenset()
    trainable, non_trainable, _, metrics = members[0].sizes
    rests, prefixes, left = dict(parts), {}, memory_limit()
    for step, splits in _splits_of_steps(data, sizes).items() if fixed else ():
        first = sum(members[0].sizes) if step == "train" else trainable + non_trainable + metrics
        leaves = range(first, first + sum(1 for _ in named_arrays(data[splits[0]][0])))
        keys = [key for key in parts if key[0] == step]
        found = [_prefix(parts[key], key[1], fixed, leaves) for key in keys]
        one = found[0]
        if one is None or any(each is None or not _same(one, each) for each in found):
            continue
        left -= one.row_bytes * sum(n_samples(data[split]) for split in splits)
        if left < 0:
            return parts, {}
        prefixes[step] = one
        for key, each in zip(keys, found, strict=True):
            if each is not None:
                rests[key] = replace(parts[key], traced=each.rest)
    return rests, prefixes


def _same(one: Prefix, other: Prefix) -> bool:
    """Whether two batches, maybe of other sizes, have the same computed of each row."""
    return (one.key, one.places, one.leaves) == (other.key, other.places, other.leaves)


def _splits_of_steps(data: Data, sizes: Sizes) -> dict[str, list[str]]:
    """The splits of the data that each step takes."""
    found: dict[str, list[str]] = {}
    for split in splits_of(data):
        found.setdefault(sizes.steps.get(split, split), []).append(split)
    return found


def _fixed(parts: Parts, members: Sequence[Steps]) -> frozenset[int]:
    """The places of the variables that all members have in common and nothing changes."""
    trainable, non_trainable, _, _ = members[0].sizes
    places = [place for place, own in enumerate(variables_that_differ(members)) if not own]
    fixed = {place for place in places if place < trainable + non_trainable}
    for (step, _), part in parts.items():
        if step == "results":
            continue
        inputs, outputs = part.traced.body.inputs, part.traced.body.outputs
        start = trainable if step in ("test", OTHER_TEST) else 0
        stop = trainable if step == "finish" else trainable + non_trainable
        fixed -= {place for place in range(start, stop) if outputs[place - start] != inputs[place]}
    return frozenset(fixed)


def _prefix(part: Part, rows: int, fixed: frozenset[int], leaves: range) -> Prefix | None:
    """What a step computes of rows alone; None where it does not pay to cut it off."""
    cut = _Cut(part, fixed, leaves)
    traced, body = part.traced, part.traced.body
    kept = [Slot(index) for index in sorted(cut.kept)]
    behind = {id(operation) for operation in cut.behind}
    before = [operation for operation in body.operations if id(operation) not in behind]
    flops = sum(flops_of(traced, operation) for operation in before)
    numbers = sum(traced.avals[slot.index].size for slot in kept)
    share = flops / max(1, sum(flops_of(traced, operation) for operation in body.operations))
    if not kept or share < LEAST_SHARE or flops < LEAST_FLOPS * numbers:
        return None
    needed = _needed(body.operations, kept)
    read = {atom for operation in needed for atom in operation.inputs}
    places = tuple(place for place in sorted(fixed) if body.inputs[place] in read)
    x = [body.inputs[leaf] for leaf in leaves]
    still = tuple(i for i, slot in enumerate(x) if slot.index in cut.read)
    own = Body([*(body.inputs[place] for place in places), *x], needed, list(kept))
    inputs = [
        *body.inputs[: leaves.start], *(x[i] for i in still), *kept, *body.inputs[leaves.stop :],
    ]  # fmt: skip
    rest = Body(inputs, cut.behind, body.outputs)
    key = _key(traced, own, cut.known, len(places))
    return Prefix(
        replace(traced, body=own, key=f"{traced.key} before"),
        places,
        still,
        replace(traced, body=rest, key=f"{traced.key} behind {key}"),
        rows,
        key,
        len(before),
        share,
    )


class _Cut:
    """Where a step can be cut: behind what is known of rows alone.

    Attributes
    ----------
    known : dict of int to Rows
        The values, by slot, that come from x and what is fixed.
    kept : set of int
        Those of them that operations behind the cut read.
    read : set of int
        All that operations behind the cut read.
    behind : list of Operation
    """

    def __init__(self, part: Part, fixed: frozenset[int], leaves: range) -> None:
        self._part, self._traced = part, part.traced
        inputs = part.traced.body.inputs
        self.known: dict[int, Rows] = {}
        for place in (*fixed, *leaves):
            shape = self._shape(inputs[place])
            if place in fixed:
                self.known[inputs[place].index] = Rows(shape)
            elif shape:
                self.known[inputs[place].index] = Rows(shape, 0)
        self._costly: set[int] = set()  # the values behind a product or convolution of rows
        self._makers: dict[int, Operation] = {}
        for operation in part.traced.body.operations:
            self._visit(operation)
        self.kept: set[int] = set()
        self.read: set[int] = set()
        self.behind = self._behind()

    def _visit(self, operation: Operation) -> None:
        given = [self._rows(atom) for atom in operation.inputs]
        known = [each for each in given if each is not None]
        if len(known) < len(given) or operation.bodies:
            return
        shapes = [self._shape(slot) for slot in operation.outputs]
        found = rows_of_results(operation.name, operation.params, known, shapes)
        if found is None:
            return
        by_rows = any(each.axis is not None for each in found)
        costly = by_rows and operation.name in COSTLY
        costly |= any(atom.index in self._costly for atom in _slots(operation.inputs))
        for slot, rows in zip(operation.outputs, found, strict=True):
            self.known[slot.index] = rows
            self._makers[slot.index] = operation
            if costly:
                self._costly.add(slot.index)

    def _behind(self) -> list[Operation]:
        """The operations that are not cut off: those that are not known, and what these need."""
        body = self._traced.body
        behind = {id(each) for each in body.operations if each.outputs[0].index not in self.known}
        waiting = _slots(body.outputs)
        for operation in body.operations:
            waiting += _slots(operation.inputs) if id(operation) in behind else []
        while waiting:
            index = waiting.pop().index
            maker = self._makers.get(index)
            if index in self.read:
                continue
            self.read.add(index)
            if maker is None or id(maker) in behind:
                continue
            if self._pays(index, maker):
                self.kept.add(index)
            else:
                behind.add(id(maker))
                waiting += _slots(maker.inputs)
        return [each for each in body.operations if id(each) in behind]

    def _pays(self, index: int, maker: Operation) -> bool:
        """Whether to keep a value, and not to compute it in every step from what it is made of."""
        aval = self._traced.avals[index]
        if self.known[index].axis != 0 or index not in self._costly or not _is_taken(aval.dtype):
            return False
        taken = [atom for atom in _slots(maker.inputs) if self._has_rows(atom)]
        grows = _bytes(aval) > sum(_bytes(self._traced.avals[slot.index]) for slot in taken)
        return maker.name in COSTLY or not grows

    def _has_rows(self, slot: Slot) -> bool:
        return self.known[slot.index].axis is not None

    def _rows(self, atom: Atom) -> Rows | None:
        if isinstance(atom, Slot):
            return self.known.get(atom.index)
        number = self._traced.numbers[atom.index]
        own = atom.index in self._part.numbers or not isinstance(number, np.ndarray)
        return None if own else Rows(number.shape)

    def _shape(self, slot: Slot) -> tuple[int, ...]:
        return tuple(self._traced.avals[slot.index].shape)


def _slots(atoms: Iterable[Atom]) -> list[Slot]:
    return [atom for atom in atoms if isinstance(atom, Slot)]


def _bytes(aval: Any) -> int:
    return int(aval.size * aval.dtype.itemsize)


def _is_taken(dtype: Any) -> bool:
    """Whether a program takes arrays of a type as they are."""
    return bool(in_floatx(np.zeros(1, dtype)).dtype == dtype)


def _needed(operations: Sequence[Operation], outputs: Iterable[Slot]) -> list[Operation]:
    """The operations that some values are made by, in order."""
    needed = {slot.index for slot in outputs}
    found = []
    for operation in reversed(operations):
        if any(slot.index in needed for slot in operation.outputs):
            needed.update(slot.index for slot in _slots(operation.inputs))
            found.append(operation)
    return found[::-1]


def flops_of(traced: Trace, operation: Operation) -> int:
    """The arithmetic of an operation's products and convolutions, in additions and products."""
    if operation.bodies:
        inner = (flops_of(traced, each) for body in operation.bodies for each in body.operations)
        return sum(inner) * int(operation.params.get("length") or 1)
    if operation.name not in COSTLY:
        return 0
    one, other = (_shape_of(traced, atom) for atom in operation.inputs)
    made, numbers = traced.avals[operation.outputs[0].index].size, operation.params
    if operation.name == "dot_general":
        (contracted, _), _ = numbers["dimension_numbers"]
        return int(2 * made * math.prod(one[axis] for axis in contracted))
    features = other[numbers["dimension_numbers"].rhs_spec[0]]
    return int(2 * made * math.prod(other) // max(1, features))


def _shape_of(traced: Trace, atom: Atom) -> tuple[int, ...]:
    if isinstance(atom, Slot):
        return tuple(traced.avals[atom.index].shape)
    return tuple(traced.numbers[atom.index].shape)


def _key(traced: Trace, body: Body, known: Mapping[int, Rows], n_variables: int) -> str:
    """SHA-256 of what operations do to a row, whatever the rows of a batch.

    Equal also in programs that do something else behind these operations.
    """
    places: dict[int, int] = {}

    def shape(slot: Slot) -> Any:
        places[slot.index] = len(places)
        aval, rows = traced.avals[slot.index], known[slot.index]
        any_length = rows.constant if rows.axis is None else {rows.axis}
        return [None if i in any_length else n for i, n in enumerate(aval.shape)], str(aval.dtype)

    def said(atom: Atom) -> Any:
        if isinstance(atom, Number):
            number = traced.numbers[atom.index]
            return str(number.dtype), number.shape, number.tobytes()
        return places[atom.index]

    text = [n_variables, [shape(slot) for slot in body.inputs]]
    for operation in body.operations:
        own = {k: str(v) for k, v in operation.params.items() if k not in OF_ROWS}
        inputs = [said(atom) for atom in operation.inputs]
        made = [shape(slot) for slot in operation.outputs]
        text.append((operation.name, sorted(own.items()), inputs, made))
    text.append([said(atom) for atom in body.outputs])
    return hashlib.sha256(repr(text).encode()).hexdigest()
