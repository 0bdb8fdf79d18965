"""A function as a flat list of operations: its jaxpr, with calls inlined.

Numbers are kept apart from operations, so that two lists can be compared without them: the scalars
that stand in a jaxpr as literals, and the arrays that the function closes over.
"""

from __future__ import annotations

import enum
import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias

import numpy as np

from tuning.compatibility.jax import CALLS, LOOPS, parts

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), np.dtype, enum.Enum)

NAMED = ("Primitive", "PRNGImpl", "UnspecifiedValue")  # of JAX's: one of a name
SAID_TWICE = {("reduce", "computation")}  # a function whose operations are another parameter


class Unproven(Exception):
    """A function that cannot be compared with others; says why in a few words."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A value of a trace, input or result of an operation, by its place among all."""

    index: int


@dataclass(frozen=True, slots=True)
class Number:
    """A literal or a constant, by its place among all of a trace's."""

    index: int


Atom: TypeAlias = Slot | Number


@dataclass(eq=False, slots=True)
class Operation:
    """One operation of a trace.

    Attributes
    ----------
    primitive : jax.extend.core.Primitive
    params : dict
        Its parameters, as JAX has them.
    inputs : list of Slot or Number
    outputs : list of Slot
    bodies : list of Body
        Of a loop or a branch: what is in it, in the order of `LOOPS`.
    source : object
        JAX's record of the code that made it.
    """

    primitive: Any
    params: dict[str, Any]
    inputs: list[Atom]
    outputs: list[Slot]
    bodies: list[Body] = field(default_factory=list)
    source: Any = None

    @property
    def name(self) -> str:
        """The primitive's name, such as ``dot_general``."""
        return str(self.primitive.name)


@dataclass(slots=True)
class Body:
    """A function: what it takes, does and returns."""

    inputs: list[Slot]
    operations: list[Operation]
    outputs: list[Atom]


@dataclass(slots=True)
class Trace:
    """A function's operations and numbers.

    Attributes
    ----------
    body : Body
    avals : list
        Shape and type of each slot, as JAX has them.
    numbers : list of array
        The value of each `Number`, as it was when the function was traced.
    key : str
        SHA-256 of all but the numbers' values: equal for functions that do the same on the same
        shapes with whatever numbers.
    """

    body: Body
    avals: list[Any]
    numbers: list[np.ndarray]
    key: str


def draws_noise(body: Body) -> bool:
    """Whether a function draws random numbers."""
    return any(
        "random" in operation.name or any(map(draws_noise, operation.bodies))
        for operation in body.operations
    )


def trace(function: Callable[..., Any], *arguments: Any) -> tuple[Trace, Any]:
    """Trace a function of arrays that returns arrays.

    Parameters
    ----------
    function : callable
    *arguments
        Trees of arrays or of `jax.ShapeDtypeStruct`.

    Returns
    -------
    Trace
    tree of jax.ShapeDtypeStruct
        What the function returns; the trace's outputs are its leaves.

    Raises
    ------
    Unproven
        If it does something that cannot be compared, such as calling back to Python.
    """
    import jax

    closed, returned = jax.make_jaxpr(function, return_shape=True)(*arguments)
    if closed.effects:
        raise Unproven("its step has effects besides what it computes, such as printing")
    inputs = [_Value(variable.aval) for variable in closed.jaxpr.invars]
    operations: list[_Step] = []
    outputs = list(_inline(closed.jaxpr, closed.consts, inputs, operations))
    return _Numbering().trace(inputs, _alive(operations, outputs), outputs), returned


@dataclass(eq=False, slots=True)
class _Value:
    """A value before it has a place: of a constant or literal with its array."""

    aval: Any
    array: Any = None


@dataclass(eq=False, slots=True)
class _Step:
    """An operation before its values have places."""

    primitive: Any
    params: dict[str, Any]
    inputs: list[_Value]
    outputs: list[_Value]
    source: Any


def _inline(
    jaxpr: Any,
    consts: list[Any],
    inputs: list[_Value],
    operations: list[_Step],
    caller: Any = None,
) -> Iterator[_Value]:
    """Append a jaxpr's operations, those of the calls in it in their place; its outputs.

    `caller` is the source of the call: what is in it may have been traced for another.
    """
    from jax.extend import core

    env: dict[Any, _Value] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, constant in zip(jaxpr.constvars, consts, strict=True):
        env[variable] = _Value(variable.aval, _snapshot(constant))

    def read(atom: Any) -> _Value:
        if isinstance(atom, core.Literal):
            return _Value(atom.aval, np.asarray(atom.val))
        return env[atom]

    for equation in jaxpr.eqns:
        values = [read(atom) for atom in equation.invars]
        inner = CALLS.get(equation.primitive.name)
        called = parts(equation.params[inner]) if inner in equation.params else None
        source = caller or equation.source_info
        if called:
            made = list(_inline(*called, values, operations, source))
        else:
            made = [_Value(variable.aval) for variable in equation.outvars]
            params = {name: _on_one_device(value) for name, value in equation.params.items()}
            operations.append(_Step(equation.primitive, params, values, made, source))
        env.update(zip(equation.outvars, made, strict=True))
    return map(read, jaxpr.outvars)


def _on_one_device(value: Any) -> Any:
    """A parameter, without where among several devices something is: there is one."""
    import jax

    return None if isinstance(value, jax.sharding.Sharding) else value


def _snapshot(constant: Any) -> Any:
    """A constant as it is now: NumPy's arrays can be written to later."""
    import jax

    if isinstance(constant, jax.Array):
        return constant if _is_key(constant) else np.asarray(constant)
    return np.array(constant)


def _is_key(array: Any) -> bool:
    """Whether an array holds random keys, which NumPy has no type for."""
    import jax

    return bool(jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key))


def _alive(operations: list[_Step], outputs: list[_Value]) -> list[_Step]:
    """The operations that the outputs need, in order."""
    needed = {id(value) for value in outputs}
    kept = []
    for operation in reversed(operations):
        if any(id(value) in needed for value in operation.outputs):
            needed.update(id(value) for value in operation.inputs)
            kept.append(operation)
    return kept[::-1]


class _Numbering:
    """Gives every value a place in order of appearance, and writes down what is compared."""

    def __init__(self) -> None:
        self._avals: list[Any] = []
        self._numbers: list[np.ndarray] = []
        self._places: dict[int, Atom] = {}
        self._kept: list[_Value] = []  # so that no other value gets its id
        self._text: list[Any] = []

    def trace(self, inputs: list[_Value], operations: list[_Step], outputs: list[_Value]) -> Trace:
        body = self._body(inputs, operations, outputs)
        key = hashlib.sha256(repr(self._text).encode()).hexdigest()
        return Trace(body, self._avals, self._numbers, key)

    def _body(self, inputs: list[_Value], operations: list[_Step], outputs: list[_Value]) -> Body:
        taken = [self._new(value) for value in inputs]
        self._text.append(("takes", [_shape(value.aval) for value in inputs]))
        done = [self._operation(step) for step in operations]
        returned = [self._read(value) for value in outputs]
        self._text.append(("returns", list(map(self._said, returned))))
        return Body(taken, done, returned)

    def _operation(self, step: _Step) -> Operation:
        name = step.primitive.name
        inner = LOOPS.get(name, ())
        inputs = [self._read(value) for value in step.inputs]
        outputs = [self._new(value) for value in step.outputs]
        self._text.append(
            (
                name,
                [(k, _said(v, name, k)) for k, v in sorted(step.params.items()) if k not in inner],
                list(map(self._said, inputs)),
                [_shape(value.aval) for value in step.outputs],
            )
        )
        bodies = [self._body(*_opened(closed)) for k in inner for closed in _closed(step.params[k])]
        return Operation(step.primitive, step.params, inputs, outputs, bodies, step.source)

    def _new(self, value: _Value) -> Slot:
        slot = Slot(len(self._avals))
        self._avals.append(value.aval)
        self._places[id(value)] = slot
        self._kept.append(value)
        return slot

    def _read(self, value: _Value) -> Atom:
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = Number(len(self._numbers))
            self._numbers.append(value.array)
            self._kept.append(value)
        return place

    def _said(self, atom: Atom) -> Any:
        if isinstance(atom, Slot):
            return atom.index
        array = self._numbers[atom.index]
        if _is_key(array):
            import jax

            return "key", np.asarray(jax.random.key_data(array)).tobytes()
        return "number", atom.index, array.shape, _name(array.dtype)


def _closed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _opened(closed: Any) -> tuple[list[_Value], list[_Step], list[_Value]]:
    """The inputs, operations and outputs of an inner function."""
    if closed.effects:
        raise Unproven("its step has effects besides what it computes, such as printing")
    inputs = [_Value(variable.aval) for variable in closed.jaxpr.invars]
    operations: list[_Step] = []
    outputs = list(_inline(closed.jaxpr, closed.consts, inputs, operations))
    return inputs, operations, outputs


def _shape(aval: Any) -> Any:
    return aval.shape, _name(aval.dtype)


@functools.cache
def _name(dtype: Any) -> str:
    """The name of a type, which NumPy takes long to spell."""
    return str(dtype)


def _said(value: Any, primitive: str, name: str) -> Any:  # noqa: PLR0911  a rule a line
    """A parameter of an operation as text that is equal for equal parameters alone."""
    if isinstance(value, PLAIN):
        return type(value).__name__, _name(value) if isinstance(value, np.dtype) else value
    kind = type(value)
    if kind.__name__ in NAMED:
        return kind.__name__, str(getattr(value, "name", value))
    if (primitive, name) in SAID_TWICE:
        return None
    if isinstance(value, type):
        return value.__module__, value.__qualname__
    if isinstance(value, tuple | list | frozenset | set):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_said(item, primitive, name) for item in items]
    if isinstance(value, dict):
        return [(str(k), _said(v, primitive, name)) for k, v in sorted(value.items(), key=str)]
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.str, value.shape, value.tobytes()
    if (inner := parts(value)) is not None:
        return _inner(*inner)
    if is_dataclass(value):
        return kind.__name__, [
            (each.name, _said(getattr(value, each.name), primitive, name)) for each in fields(value)
        ]
    if primitive.endswith("callback"):
        raise Unproven(f"its step calls back to Python ({primitive})")
    raise Unproven(
        f"an operation of its step, {primitive}, has a parameter ({name}) that cannot be compared"
    )


def _inner(jaxpr: Any, consts: list[Any]) -> Any:
    """An inner function that is not rebuilt, with the values of its numbers."""
    inputs = [_Value(variable.aval) for variable in jaxpr.invars]
    operations: list[_Step] = []
    outputs = list(_inline(jaxpr, consts, inputs, operations))
    traced = _Numbering().trace(inputs, operations, outputs)
    return traced.key, [np.asarray(number).tobytes() for number in traced.numbers]
