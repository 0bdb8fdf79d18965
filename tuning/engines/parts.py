"""The traces of a program for every size of batch, and what differs between its members in each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from tuning.engines.batches import in_floatx
from tuning.engines.kept import Family
from tuning.engines.rewrites.products import without_transposes
from tuning.engines.rewrites.sums import with_sums_after_loops
from tuning.engines.rewrites.unmoved import range_of, unmoved
from tuning.engines.rewrites.zero_columns import LEAST, Columns, columns_of_input
from tuning.packing.sameness import Steps, numbers_that_differ
from tuning.packing.trace import Trace
from tuning.problem.data import Data, map_arrays, n_samples, splits_of
from tuning.problem.folds import folds_of

LARGE = 256  # numbers of a constant from which it is an argument of the program
EVALUATION_ROWS = (128, 1024)  # a batch that scores takes a divisor of the rows in this range

Retrace: TypeAlias = Callable[[int, Any, Any], Steps]
"""Traces a member again: of its place, and a batch in training and one in scoring."""


@dataclass(frozen=True)
class Part:
    """A trace of the program for some number of rows, and what its members' numbers are there.

    Attributes
    ----------
    traced : Trace
    numbers : dict of int to array
        Those that differ between members, stacked on the first axis.
    constants : dict of int to array
        Large ones that all share: arguments of the program, where others are part of its code.
    columns : Columns, optional
        Columns of the input that are left out.
    """

    traced: Trace
    numbers: dict[int, np.ndarray]
    constants: dict[int, np.ndarray]
    columns: Columns | None = None


Parts: TypeAlias = dict[tuple[str, int], Part]
"""By the step's name (train, test, results, finish) and the rows of its batch, or 0.

Where the test data is of another kind than the validation data, `OTHER_TEST` scores it.
"""

OTHER_TEST = "other test"


@dataclass(frozen=True)
class Cut:
    """Batches of one size, which every training goes through, or those of some folds.

    Attributes
    ----------
    size : int
        Rows of a batch.
    first : int
        How many batches of that size went before.
    count : int
        Batches, one after another; 0 where it is a short last one.
    takes : tuple of int, optional
        How many of them each fold goes through; None where all go through all.
    """

    size: int
    first: int
    count: int
    takes: tuple[int, ...] | None = None

    def rows(self, order: np.ndarray) -> np.ndarray:
        """The rows of one training, of shape (count, size), or (size,) of a short last batch.

        Parameters
        ----------
        order : array of int, shape (rows,)
            Of all its rows; row 0 stands in place of those that it has not.
        """
        wanted = max(1, self.count) * self.size
        own = order[self.first * self.size :] if self.count else order[-self.size :]
        whole = np.zeros(wanted, np.int32)
        whole[: len(own)] = own[:wanted]
        return whole.reshape(self.count, self.size) if self.count else whole

    def active(self, fold: int) -> np.ndarray:
        """Whether a fold goes through each batch, of shape (count,), or () of a short last one."""
        assert self.takes is not None
        taken = np.arange(max(1, self.count)) < self.takes[fold]
        return taken if self.count else taken[0]


def cuts_of(lengths: Sequence[int], size: int) -> tuple[Cut, ...]:
    """The batches of trainings of several lengths, full ones first.

    Parameters
    ----------
    lengths : sequence of int
        The rows of each fold.
    size : int
        Of a full batch.
    """
    whole = [n // size for n in lengths]
    least, most = min(whole), max(whole)
    cuts = [Cut(size, 0, least)] if least else []
    if most > least:
        cuts.append(Cut(size, least, most - least, tuple(n - least for n in whole)))
    tails = [n % size for n in lengths]
    for tail in sorted({*tails} - {0}, reverse=True):
        takes = None if {*tails} == {tail} else tuple(int(each == tail) for each in tails)
        cuts.append(Cut(tail, 0, 0, takes))
    return tuple(cuts)


@dataclass(frozen=True)
class Sizes:
    """The rows of the batches that a program meets, full ones and short last ones.

    Attributes
    ----------
    cuts : dict of str to tuple of Cut
        The batches of each split, in order.
    train : tuple of int
        In training.
    scored : tuple of (str, int)
        In scoring the validation and the test data, each with the split it is of; where both are
        of one kind, no number of rows twice.
    scored_at_once : dict of str to int
        The rows of a full batch of each split that is scored.
    steps : dict of str to str
        The name of the step that scores each split.
    """

    cuts: dict[str, tuple[Cut, ...]]
    train: tuple[int, ...]
    scored: tuple[tuple[str, int], ...]
    scored_at_once: dict[str, int]
    steps: dict[str, str]

    @classmethod
    def of(cls, data: Data, batch_size: int, scored_rows: int | None = None) -> Sizes:
        """The sizes for some data.

        Parameters
        ----------
        data : dict
        batch_size : int
        scored_rows : int, optional
            Rows of a batch that scores, where the model takes no other number.
        """
        rows = lengths_of(data)
        at_once = {split: scored_rows or _divisor(rows[split]) for split in splits_of(data)[1:]}
        cuts = {
            split: cuts_of(lengths, at_once.get(split, batch_size))
            for split, lengths in rows.items()
        }
        own = shapes_of(data, "validation", 1)
        steps = {
            split: "test" if shapes_of(data, split, 1) == own else OTHER_TEST for split in at_once
        }
        scored: dict[tuple[str, int], tuple[str, int]] = {}
        for split in at_once:
            for cut in cuts[split]:
                scored.setdefault((steps[split], cut.size), (split, cut.size))
        train = tuple(dict.fromkeys(cut.size for cut in cuts["train"]))
        return cls(cuts, train, tuple(scored.values()), at_once, steps)


def lengths_of(data: Data) -> dict[str, tuple[int, ...]]:
    """The rows of each split, of each fold where there are folds."""
    lengths: dict[str, tuple[int, ...]] = {
        split: (n_samples(data[split]),) for split in splits_of(data)
    }
    if folds := folds_of(data):
        lengths["train"], lengths["validation"] = zip(
            *((len(train), len(validation)) for train, validation in folds), strict=True
        )
    return lengths


def shapes_of(data: Data, split: str, n: int) -> tuple[Any, ...]:
    """x, y and any sample weights of n rows of a split, as shapes and types alone."""
    import jax

    def shape(array: np.ndarray) -> Any:
        dtype = jax.dtypes.canonicalize_dtype(in_floatx(array[:1]).dtype)
        return jax.ShapeDtypeStruct((n, *array.shape[1:]), dtype)

    return map_arrays(shape, data[split])  # type: ignore[no-any-return]


def parts_of(
    members: Sequence[Steps],
    retrace: Retrace,
    data: Data,
    sizes: Sizes,
    family: Family | None = None,
) -> Parts:
    """Trace a program for all sizes of batches.

    Members were traced for the first size in training and in scoring. For others the first member
    is traced again, and the others' numbers are those in the same places, if these do not depend on
    the size; if they do, all members are traced again.

    Parameters
    ----------
    members : sequence of Steps
    retrace : callable
    data : dict
    sizes : Sizes
    family : Family, optional
        Of the program, whose first member then takes the place of the first here: it is as if it
        were one of these. Where numbers depend on the size it is of no use.

    Raises
    ------
    ValueError
        If members do something else for another size.
    """
    names = ("train", "test", "results", "finish")
    differing = numbers_that_differ(members) if family is None else family.numbers(members)
    start = members[0] if family is None else family.first
    known = dict(zip(names, zip(start.traces, differing, strict=True), strict=True))
    first = {"train": sizes.train[0], "test": sizes.scored[0][1]}
    parts = {(name, first.get(name, 0)): _part(*known[name]) for name in names}
    for i in range(1, max(len(sizes.train), len(sizes.scored))):
        rows = sizes.train[min(i, len(sizes.train) - 1)]
        split, scored = sizes.scored[min(i, len(sizes.scored) - 1)]
        shapes = shapes_of(data, "train", rows), shapes_of(data, split, scored)
        if family is not None and i in family.again:
            steps = [family.again[i]]
        else:
            steps = [retrace(0, *shapes)]
        if family is not None:
            family.again[i] = replace(steps[0], state=[])
        again = dict(zip(names, steps[0].traces, strict=True))
        numbers = {name: _in_same_places(*known[name], again[name]) for name in first}
        if None in numbers.values():
            if family is not None:
                return parts_of(members, retrace, data, sizes)
            steps += [retrace(k, *shapes) for k in range(1, len(members))]
            if len({each.key for each in steps}) > 1:
                raise ValueError("models of one program differ for another number of rows")
            numbers = dict(zip(names, numbers_that_differ(steps), strict=True))
        parts.setdefault(("train", rows), _part(again["train"], numbers["train"] or {}))
        key = sizes.steps[split], scored
        parts.setdefault(key, _part(again["test"], numbers["test"] or {}))
    return parts


def _part(traced: Trace, numbers: dict[int, np.ndarray]) -> Part:
    constants = {
        place: value
        for place, value in enumerate(traced.numbers)
        if value.size > LARGE and place not in numbers
    }
    return Part(with_sums_after_loops(without_transposes(traced)), numbers, constants)


def _in_same_places(
    before: Trace, numbers: Mapping[int, np.ndarray], traced: Trace
) -> dict[int, np.ndarray] | None:
    """Members' numbers in a trace for other rows; None if they are not in the same places."""
    names = [each.name for each in before.body.operations]
    if names != [each.name for each in traced.body.operations]:
        return None
    if len(before.numbers) != len(traced.numbers):
        return None
    for place in numbers:
        one, other = before.numbers[place], traced.numbers[place]
        if one.shape != other.shape or one.tobytes() != other.tobytes():
            return None
    return dict(numbers)


def without_zero_columns(
    parts: Parts, sizes: tuple[int, int, int, int], data: Data, states: Sequence[list[np.ndarray]]
) -> tuple[Parts, np.ndarray, tuple[int, ...]] | None:
    """Leave out columns of x that are zero in all data, if no result depends on them.

    Nor may training move the rows of kernels that meet them: these stay as they began.

    Parameters
    ----------
    parts : dict
    sizes : tuple of int
        How many variables there are: trainable, non-trainable, the optimizer's, the metrics'.
    data : dict
    states : sequence of list of array
        The initial variables of each member.

    Returns
    -------
    parts, columns, places
        The parts without them, the numbers of the columns that are kept, and the places of the
        variables whose first axis counts columns; None where all are kept.
    """
    splits = splits_of(data)
    arrays = [x for split in splits if isinstance(x := data[split][0], np.ndarray)]
    shapes = {array.shape[1:] for array in arrays}
    if len(arrays) < len(splits) or len(shapes) > 1 or () in shapes:
        return None
    used = np.zeros(math.prod(*shapes), bool)
    for array in arrays:
        used |= np.any(array.reshape(len(array), -1), axis=0)
    kept = np.flatnonzero(used)
    if not 0 < len(kept) <= (1 - LEAST) * len(used):
        return None
    trainable, non_trainable, _, metrics = sizes
    found: Parts = {}
    places: set[tuple[int, ...]] = set()
    for (name, rows), part in parts.items():
        if name == "train":
            columns = columns_of_input(part.traced, sum(sizes), 0)
        elif name in ("test", OTHER_TEST):
            leaf = trainable + non_trainable + metrics
            columns = columns_of_input(part.traced, leaf, trainable)
        else:
            continue
        if columns is None or not columns.alone or not columns.on_first_axis(part.traced):
            return None
        if name == "train":
            places.add(tuple(sorted(columns.kernels)))
        found[name, rows] = replace(part, columns=replace(columns, count=len(kept)))
    if len(places) != 1:
        return None
    (own,) = places
    if max(own) >= sum(sizes[:3]) or not _stay(parts | found, own, ~used, states):
        return None
    return parts | found, kept, own


def _stay(
    parts: Parts, places: Sequence[int], left_out: np.ndarray, states: Sequence[list[np.ndarray]]
) -> bool:
    """Whether the rows left out of the variables in some places end as they begin."""
    finish = parts["finish", 0].traced.body
    if any(finish.inputs[i] != finish.outputs[i] for i in places if i < len(finish.outputs)):
        return False
    initial = {
        i: range_of(*(np.compress(left_out, state[i], axis=0) for state in states)) for i in places
    }
    return all(
        part.columns is not None and unmoved(part.traced, part.columns, initial, part.numbers)
        for (name, _), part in parts.items()
        if name == "train"
    )


def _divisor(lengths: Sequence[int]) -> int:
    """Rows a batch to score so many: if possible a divisor, so that there is no short last batch.

    Of folds of several lengths, all rows of the shortest at once, if they are not too many.
    """
    low, high = EVALUATION_ROWS
    if (n := min(lengths)) <= high:
        return n
    sizes = range(high, low - 1, -1)
    return next((size for size in sizes if not any(n % size for n in lengths)), 256)
