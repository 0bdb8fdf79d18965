"""Inputs that are zero in every row are left out: 101 of a digit's 784 pixels, a ninth of the work.

Where such a column meets a kernel the product is zero, and so is the gradient of that row of the
kernel. If all that happens to the kernel besides is elementwise, no number of another row depends
on it. That is read off the trace, whatever layers and optimizer made it. Left out, the other
numbers stay what they are, to the rounding of sums.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from tuning.packing.trace import Atom, Operation, Slot, Trace

LEAST = 0.05  # of the columns have to go for it to pay

ELEMENTWISE = frozenset(
    """abs add add_any and cbrt ceil clamp convert_element_type copy copy_p cos div eq erf exp exp2
    expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max min mul ne neg nextafter
    not or pow real reduce_precision rem round rsqrt select_n sign sin sqrt square stop_gradient sub
    tanh xor""".split()  # noqa: SIM905
)
"""Operations of which a number of the result depends on the numbers in its own place alone."""

PASSING = ("reshape", "convert_element_type", "copy", "squeeze")


@dataclass(frozen=True)
class Columns:
    """The kernels that read a matrix of rows, and all that has one row for each of its columns.

    Attributes
    ----------
    axes : dict of int to int
        Of each slot that has an axis of columns: which axis that is.
    kernels : tuple of int
        The places, among the trace's inputs, of those that have one.
    alone : bool
        Whether no number of one column depends on a number of another.
    passed : frozenset of int
        Slots through which the rows only pass to become a matrix.
    count : int
        How many columns are kept; 0 where all are.
    """

    axes: dict[int, int]
    kernels: tuple[int, ...]
    alone: bool
    passed: frozenset[int] = frozenset()
    count: int = 0

    def on_first_axis(self, traced: Trace) -> bool:
        """Whether it is the first axis of all kernels that counts columns."""
        return all(self.axes[traced.body.inputs[place].index] == 0 for place in self.kernels)

    def narrowed(self, operation: Operation) -> Operation:
        """The operation, making as many columns as are kept."""
        if operation.name != "broadcast_in_dim":
            return operation
        axis = self.axes.get(operation.outputs[0].index)
        if axis is None:
            return operation
        shape = list(operation.params["shape"])
        shape[axis] = self.count
        return replace(operation, params=operation.params | {"shape": tuple(shape)})


def columns_of_input(traced: Trace, leaf: int, first: int) -> Columns | None:
    """The columns of an input of a trace, if all that reads it are products with kernels.

    Parameters
    ----------
    traced : Trace
    leaf : int
        The input's place; its first axis counts the rows, the others are made one.
    first : int
        As `columns_of` takes it.
    """
    readers = _readers(traced)
    slot = traced.body.inputs[leaf]
    rows = traced.avals[slot.index].shape[0]
    passed: set[int] = set()
    while True:
        reading = readers[slot.index]
        if traced.avals[slot.index].ndim == 2 and all(
            operation.name == "dot_general" for operation in reading
        ):
            break
        if len(reading) != 1 or reading[0].name not in PASSING:
            return None
        (operation,) = reading
        slot = operation.outputs[0]
        if traced.avals[slot.index].shape[:1] != (rows,):
            return None
        if operation.name in ("reshape", "squeeze"):
            passed.add(slot.index)
    if not reading or slot in traced.body.outputs:
        return None
    found = columns_of(traced, slot, first)
    return None if found is None else replace(found, passed=frozenset(passed))


def columns_of(traced: Trace, rows: Slot, first: int) -> Columns | None:
    """The columns of a matrix in a trace, as far as kernels that meet it carry them.

    Parameters
    ----------
    traced : Trace
    rows : Slot
        Of shape (rows, columns).
    first : int
        The place of the input that the trace's first output is the next value of.
    """
    spread = _Spread(traced, rows, first)
    if not spread.kernels:
        return None
    return Columns(spread.axes, tuple(spread.kernels), spread.alone)


def _readers(traced: Trace) -> dict[int, list[Operation]]:
    readers: dict[int, list[Operation]] = defaultdict(list)
    for operation in traced.body.operations:
        for atom in dict.fromkeys(operation.inputs):
            if isinstance(atom, Slot):
                readers[atom.index].append(operation)
    return readers


@dataclass
class _Spread:
    """Follows the axis of columns from products with the rows to what is elementwise with it."""

    traced: Trace
    rows: Slot
    first: int
    axes: dict[int, int] = field(default_factory=dict)
    kernels: list[int] = field(default_factory=list)
    alone: bool = True

    def __post_init__(self) -> None:
        before = -1
        while len(self.axes) > before:
            before = len(self.axes)
            for operation in self.traced.body.operations:
                self._visit(operation)
        places = {slot.index: place for place, slot in enumerate(self.traced.body.inputs)}
        self.kernels = [places[index] for index in self.axes if index in places]
        self._check_returned()

    def _visit(self, operation: Operation) -> None:
        slots = [atom for atom in operation.inputs if isinstance(atom, Slot)]
        if operation.name == "dot_general" and self.rows in slots:
            self._product(operation)
        elif operation.name in ELEMENTWISE:
            self._elementwise(operation, slots)
        elif operation.name == "transpose" and len(operation.params["permutation"]) == 2:
            self._transpose(operation)
        elif operation.name == "broadcast_in_dim":
            self._broadcast(operation)
        elif any(slot.index in self.axes for slot in (*slots, *operation.outputs)):
            self.alone = False

    def _tag(self, slot: Slot, axis: int) -> None:
        if self.axes.setdefault(slot.index, axis) != axis:
            self.alone = False

    def _product(self, operation: Operation) -> None:
        contracted, (batch, _) = operation.params["dimension_numbers"]
        one, other = operation.inputs
        side = 0 if one == self.rows else 1
        kernel = other if side == 0 else one
        columns = contracted[side]
        if batch or one == other or not isinstance(kernel, Slot):
            self.alone = False
        elif columns == (1,):  # rows times kernel
            self._tag(kernel, contracted[1 - side][0])
        elif columns == (0,):  # a kernel's gradient; the rows' free axis comes first or last
            ndim = self.traced.avals[operation.outputs[0].index].ndim
            self._tag(operation.outputs[0], 0 if side == 0 else ndim - 1)
        else:
            self.alone = False

    def _elementwise(self, operation: Operation, slots: list[Slot]) -> None:
        shape = self._shape(operation.outputs[0])
        same = [slot for slot in (*slots, *operation.outputs) if self._shape(slot) == shape]
        axis = next((self.axes[slot.index] for slot in same if slot.index in self.axes), None)
        if axis is not None:
            for slot in same:
                self._tag(slot, axis)
            others = [atom for atom in operation.inputs if atom not in same]
            if any(self._shape(atom) for atom in others):
                self.alone = False

    def _transpose(self, operation: Operation) -> None:
        source, (made,) = operation.inputs[0], operation.outputs
        if not isinstance(source, Slot) or operation.params["permutation"] != (1, 0):
            return
        if source.index in self.axes:
            self._tag(made, 1 - self.axes[source.index])
        elif made.index in self.axes:
            self._tag(source, 1 - self.axes[made.index])

    def _broadcast(self, operation: Operation) -> None:
        source, (made,) = operation.inputs[0], operation.outputs
        if isinstance(source, Slot) and source.index in self.axes:
            self.alone = False
        axis = self.axes.get(made.index)
        if axis is not None and axis in operation.params["broadcast_dimensions"]:
            from_axis = operation.params["broadcast_dimensions"].index(axis)
            if self._shape(source)[from_axis] != 1:
                self.alone = False

    def _check_returned(self) -> None:
        """Check that a kernel comes back as a kernel, and that nothing else has its columns."""
        inputs, outputs = self.traced.body.inputs, self.traced.body.outputs
        for place, atom in enumerate(outputs, self.first):
            index = atom.index if isinstance(atom, Slot) else -1
            own = inputs[place].index if place < len(inputs) else -1
            if self.axes.get(index) != self.axes.get(own):
                self.alone = False

    def _shape(self, atom: Atom) -> tuple[int, ...]:
        if isinstance(atom, Slot):
            return tuple(self.traced.avals[atom.index].shape)
        return tuple(self.traced.numbers[atom.index].shape)
