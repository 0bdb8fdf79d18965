"""Run a trace again, its numbers given or its own, with faster operations where there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuning.compatibility.jax import bind
from tuning.engines.rewrites import REWRITES
from tuning.engines.rewrites.comparisons import compared, held
from tuning.engines.rewrites.zero_columns import Columns
from tuning.packing.trace import Body, Operation, Slot, Trace

# What dense, recurrent, attention and embedding networks consist of: `benchmarks/packs.py` has none
# of them slower in a pack. What is not here may be, such as sorting or what has a rewrite.
_AS_FAST_IN_PACKS = """
abs add add_any and argmax argmin bitcast_convert_type broadcast_in_dim ceil clamp
concatenate convert_element_type copy cos div dot_general empty2 eq erf erf_inv erfc exp
exp2 expm1 floor gather ge gt integer_pow iota is_finite le log log1p logistic lt lt_to
max min mul ne neg not or pad pow random_bits random_seed random_unwrap random_wrap
reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum rem reshape rev round
rsqrt scan scatter-add select_n shift_left shift_right_arithmetic shift_right_logical sign
sin slice split sqrt square squeeze stack stop_gradient sub tan tanh tile transpose
unstack xor
"""
AS_FAST_IN_PACKS = frozenset(_AS_FAST_IN_PACKS.split())


def evaluate(
    traced: Trace,
    numbers: Mapping[int, Any],
    inputs: Sequence[Any],
    columns: Columns | None = None,
) -> list[Any]:
    """Evaluate a trace on inputs.

    It may be called under `jax.vmap`, `jax.lax.scan` and `jax.jit`.

    Parameters
    ----------
    traced : Trace
    numbers : mapping of int to scalar or array
        To take in place of the trace's own, by the number's place.
    inputs : sequence of array
    columns : Columns, optional
        Columns of the input that are left out.
    """
    return _Run(traced, numbers, columns).body(traced.body, inputs)


def doubtful(traced: Trace) -> tuple[str, ...]:
    """The operations of a trace that may take longer in a pack than in Keras' `fit`.

    Of those that `REWRITES` has an equivalent for, the ones it left as they are.
    """
    left: dict[str, None] = {}

    def visit(body: Body) -> None:
        for operation in body.operations:
            rewrite = REWRITES.get(operation.name)
            fast = operation.name in AS_FAST_IN_PACKS
            if not fast and not _rewritten(rewrite, operation, traced):
                left[operation.name] = None
            for inner in operation.bodies:
                visit(inner)

    visit(traced.body)
    return tuple(left)


def _rewritten(rewrite: Any, operation: Operation, traced: Trace) -> bool:
    """Whether an operation has an equivalent, found without computing anything."""
    import jax

    def shape(atom: Any) -> Any:
        if isinstance(atom, Slot):
            aval = traced.avals[atom.index]
            return jax.ShapeDtypeStruct(aval.shape, aval.dtype)
        return traced.numbers[atom.index]

    def made(*values: Any) -> Any:
        found = rewrite(*values, operation.params)
        return () if found is None else (found,)

    return rewrite is not None and bool(jax.eval_shape(made, *map(shape, operation.inputs)))


class _Run:
    """One evaluation of a trace."""

    def __init__(self, traced: Trace, numbers: Mapping[int, Any], columns: Columns | None) -> None:
        self._numbers: list[Any] = [
            numbers.get(place, own) for place, own in enumerate(traced.numbers)
        ]
        self._avals = traced.avals
        self._columns = columns

    def body(self, body: Body, inputs: Sequence[Any]) -> list[Any]:
        """What a function of the trace returns of these inputs."""
        env = {slot.index: value for slot, value in zip(body.inputs, inputs, strict=True)}

        def read(atom: Any) -> Any:
            return env[atom.index] if isinstance(atom, Slot) else self._numbers[atom.index]

        once = compared(body, self._avals)
        for operation in body.operations:
            values = [read(atom) for atom in operation.inputs]
            for slot, value in zip(
                operation.outputs, self._outputs(operation, values), strict=True
            ):
                env[slot.index] = held(value) if slot.index in once else value
        return [read(atom) for atom in body.outputs]

    def _outputs(self, operation: Operation, values: list[Any]) -> Sequence[Any]:
        if operation.bodies:
            return self._loop(operation, values)
        if self._columns is not None:
            operation = self._columns.narrowed(operation)
            if operation.outputs[0].index in self._columns.passed:
                return values[:1]
        rewrite = REWRITES.get(operation.name)
        if rewrite is not None:
            made = rewrite(*values, operation.params)
            if made is not None:
                return [made]
        return bind(operation.primitive, operation.params, values)

    def _loop(self, operation: Operation, values: list[Any]) -> Sequence[Any]:
        """A loop or branch, built anew so that its numbers can come from outside."""
        import jax

        params, bodies = operation.params, operation.bodies
        if operation.name == "cond":
            branches = [lambda *inputs, each=each: self.body(each, inputs) for each in bodies]
            return list(jax.lax.switch(values[0], branches, *values[1:]))
        if operation.name == "while":
            n, m = params["cond_nconsts"], params["body_nconsts"]
            test, step, state = values[:n], values[n : n + m], values[n + m :]
            return list(
                jax.lax.while_loop(
                    lambda state: self.body(bodies[0], [*test, *state])[0],
                    lambda state: self.body(bodies[1], [*step, *state]),
                    state,
                )
            )
        n, m = params["num_consts"], params["num_carry"]
        constants, state, rows = values[:n], values[n : n + m], values[n + m :]

        def one(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
            made = self.body(bodies[0], [*constants, *state, *row])
            return made[:m], made[m:]

        after, made = jax.lax.scan(
            one,
            state,
            rows,
            length=params["length"],
            reverse=params["reverse"],
            unroll=params["unroll"],
        )
        return [*after, *made]
