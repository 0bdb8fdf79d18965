"""Numbers that are compared with one another are computed once, else a maximum equals nothing.

The gradient of a maximum goes to the elements that equal it. XLA's CPU compiler may compute an
element anew for the comparison, with other multiplications fused into additions than for the
maximum; the two then differ in the last digit, none is equal, and the gradient is lost. It happens
where what is compared is a sum of products element by element, which convolutions become here:
with a SeparableConv1D before a GlobalMaxPooling1D scores were off by 1e-3.

XLA computes no division twice. So the compared numbers are divided by a one that it cannot know to
be one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tuning.packing.trace import Body, Operation, Slot

COMPARISONS = frozenset(["eq", "ge", "gt", "le", "lt", "ne"])
MOVES = frozenset(["broadcast_in_dim", "reshape", "squeeze", "transpose"])
COMPUTED_ONCE = frozenset(["argmax", "argmin", "dot_general", "gather", "reduce_max", "reduce_min"])
"""Operations whose results XLA stores, or computes in one way only."""


def compared(body: Body, avals: Sequence[Any]) -> frozenset[int]:
    """The slots of a function that are to be computed once, as they are compared with others."""
    made_by: dict[int, Operation] = {
        slot.index: operation for operation in body.operations for slot in operation.outputs
    }
    found = set()
    for operation in body.operations:
        slots = [atom.index for atom in operation.inputs if isinstance(atom, Slot)]
        if operation.name in COMPARISONS and len(slots) == len(operation.inputs):
            for index in slots:
                source = _unmoved(index, made_by)
                maker = made_by.get(source)
                floating = jnp.issubdtype(avals[source].dtype, jnp.floating)
                if floating and maker is not None and maker.name not in COMPUTED_ONCE:
                    found.add(source)
    return frozenset(found)


def _unmoved(index: int, made_by: dict[int, Operation]) -> int:
    """The slot whose elements stand in another shape or order in this one."""
    maker = made_by.get(index)
    if maker is None or maker.name not in MOVES or not isinstance(maker.inputs[0], Slot):
        return index
    return _unmoved(maker.inputs[0].index, made_by)


def held(x: jax.Array) -> jax.Array:
    """The array as it is, computed once however many read it."""
    unsigned = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    one = jnp.ones((), unsigned)
    return x / jnp.minimum(lax.bitcast_convert_type(x, unsigned) | one, one).astype(x.dtype)
