"""Sums of products over a loop's steps as one product: an LSTM's step takes 1.5 ms, not 2.

The gradient of a recurrent layer's kernel is a small product at every step of time, added to what
the steps before gave. The factors side by side, it is one product of as many rows as there are
steps, after the loop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tuning.packing.trace import Atom, Body, Operation, Slot, Trace

ADDING = ("add", "add_any")
SUMMING = ("dot_general", "reduce_sum")


def with_sums_after_loops(traced: Trace) -> Trace:
    """The trace with what a loop only adds up added up after it."""
    avals = list(traced.avals)
    operations: list[Operation] = []
    for operation in traced.body.operations:
        operations += _split(operation, avals) if operation.name == "scan" else [operation]
    body = Body(traced.body.inputs, operations, traced.body.outputs)
    return replace(traced, body=body, avals=avals)


@dataclass
class _Sum:
    """A sum that a loop adds up: its place among the carried values, the addition, the product."""

    place: int
    addition: Operation
    product: Operation


def _split(loop: Operation, avals: list[Any]) -> list[Operation]:
    """The loop without its sums, and the operations that make them after it."""
    n, m = loop.params["num_consts"], loop.params["num_carry"]
    (body,) = loop.bodies
    reads = _reads(body)
    sums = [found for k in range(m) if (found := _sum(body, n, k, reads))]
    if not sums:
        return [loop]
    left = [k for k in range(m) if k not in {each.place for each in sums}]
    rows: dict[int, Atom] = {  # of the loop's own rows, the array that they are of
        slot.index: atom
        for slot, atom in zip(body.inputs[n + m :], loop.inputs[n + m :], strict=True)
    }
    outputs = [body.outputs[k] for k in left] + body.outputs[m:]
    made = [loop.outputs[k] for k in left] + loop.outputs[m:]
    after: list[Operation] = []
    for each in sums:
        for atom in each.product.inputs:
            if atom.index not in rows:
                assert isinstance(atom, Slot)
                aval = avals[atom.index]
                shape = (loop.params["length"], *aval.shape)
                kept = rows[atom.index] = _new(avals, aval.update(shape=shape))
                outputs.append(atom)
                made.append(kept)
        total = _new(avals, avals[each.product.outputs[0].index])
        factors = [rows[atom.index] for atom in each.product.inputs]
        params = each.product.params | _over_steps(each.product)
        after.append(replace(each.product, inputs=factors, outputs=[total], params=params))
        begun = [loop.inputs[n + each.place], total]
        after.append(replace(each.addition, inputs=begun, outputs=[loop.outputs[each.place]]))
    gone = {id(operation) for each in sums for operation in (each.addition, each.product)}
    shorter = Body(
        [*body.inputs[:n], *(body.inputs[n + k] for k in left), *body.inputs[n + m :]],
        [operation for operation in body.operations if id(operation) not in gone],
        outputs,
    )
    inputs = [*loop.inputs[:n], *(loop.inputs[n + k] for k in left), *loop.inputs[n + m :]]
    params = loop.params | {"num_carry": len(left)}
    return [replace(loop, params=params, inputs=inputs, outputs=made, bodies=[shorter]), *after]


def _sum(body: Body, n: int, carried: int, reads: Counter[int]) -> _Sum | None:
    """The sum of a carried value, if the loop only adds a product to it.

    The first n inputs of the loop are the same at all steps.
    """
    begun, ended, constants = body.inputs[n + carried], body.outputs[carried], body.inputs[:n]
    if not isinstance(ended, Slot) or reads[begun.index] != 1 or reads[ended.index] != 1:
        return None
    makers = {slot.index: each for each in body.operations for slot in each.outputs}
    addition = makers.get(ended.index)
    if addition is None or addition.name not in ADDING or begun not in addition.inputs:
        return None
    (other,) = (atom for atom in addition.inputs if atom != begun)
    product = makers.get(other.index) if isinstance(other, Slot) else None
    if product is None or product.name not in SUMMING or reads[other.index] != 1:
        return None
    if product.name == "dot_general" and any(product.params["dimension_numbers"][1]):
        return None
    if any(not isinstance(atom, Slot) or atom in constants for atom in product.inputs):
        return None
    return _Sum(carried, addition, product)


def _over_steps(product: Operation) -> dict[str, Any]:
    """The axes that a product sums over, with a first one of steps to sum over, too."""
    if product.name == "reduce_sum":
        return {"axes": (0, *(axis + 1 for axis in product.params["axes"]))}
    (one, other), batch = product.params["dimension_numbers"]
    both = ((0, *(a + 1 for a in one)), (0, *(a + 1 for a in other)))
    return {"dimension_numbers": (both, batch)}


def _reads(body: Body) -> Counter[int]:
    """The number of times that each slot is read in a loop, its outputs included."""
    atoms = [*body.outputs, *(atom for each in body.operations for atom in each.inputs)]
    return Counter(atom.index for atom in atoms if isinstance(atom, Slot))


def _new(avals: list[Any], aval: Any) -> Slot:
    avals.append(aval)
    return Slot(len(avals) - 1)
