"""One compiled program: a Keras model's training and scoring, over stacked members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.problem import SPLITS, Arrays, Data, n_samples
from tuning.training.batches import in_floatx, map_arrays
from tuning.training.columns import trim
from tuning.training.lifting import Lifted, count, places
from tuning.training.products import layers_of, make_products_wide

if TYPE_CHECKING:
    import jax
    import keras

BLOCK_BYTES = 5 * 2**20
"""Variables, optimizer state and gradients of the members trained at once. Measured, width 128,
batch 32, ms an epoch of one member: Adam (1.9 MB a member) 75 for 1 at once, 74 for 2 to 4, 79 for
6, 97 for 12; SGD (0.9 MB) 67, 60, 56, 56 and 64 for 1, 2, 3, 6 and 12."""
EVALUATION_ROWS = (128, 1024)  # a batch that scores takes a divisor of the rows in this range

# How XLA compiles, measured for batches of 16, width 64 and Adagrad: seconds to compile a training
# epoch, and milliseconds to run it. With Adam, whose factors the second computes anew for every
# number, they run 64, 154 and 360.
FAST_TO_RUN = {"xla_backend_optimization_level": 1}  # 1.08 and 73
IN_BETWEEN = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,  # more is for more CPUs: 0.49 in place of 0.36
}  # 0.42 and 80
FAST_TO_COMPILE = {**IN_BETWEEN, "xla_backend_optimization_level": 0}
# 0.23 and 319: for what runs once an epoch, or less
LONG = 100  # epochs of all members from which that too is compiled to run fast: 12 for 36 ms a test
SAVED_SECONDS = 0.35
"""By which IN_BETWEEN compiles a training epoch faster than FAST_TO_RUN: 0.25 to 0.45, measured."""
SLOWER_SECONDS = (1e-10, 2.7e-9, 2e-9)
"""By which it then runs slower: for a parameter and step, where the optimizer keeps nothing of it,
and where it does; and for each number that a layer makes of a row. Fitted to what four optimizers
lost with batches of 16 to 256 and widths of 64 and 256, 11 to 420 ms an epoch."""


@dataclass
class State:
    """The variables of a block's members, as `Program` stacks them."""

    trainable: list[jax.Array]
    non_trainable: list[jax.Array]
    optimizer: list[jax.Array]
    lifted: Lifted


class Program:
    """One compiled program: a model's training and scoring, over stacked members.

    Variables are stacked on their first axis, but for the kernels of Dense layers that read the
    model's own input: all members read the same rows, and stacked on the second axis, (in, member,
    out), their kernels are one wide matrix, whose product and gradient need no copy. What members
    share is not stacked: the optimizer's count of steps, and the states of seed generators, so that
    one draw of noise serves them all.

    Parameters
    ----------
    model : keras.Model
        Compiled; it is altered.
    data : dict
    batch_size : int
        Rows.
    epochs : int
        Of all members: whether it pays to compile well, and not just fast.

    Attributes
    ----------
    numbers : dict of str to float
        What the model was built with at its places.
    """

    def __init__(self, model: keras.Model, data: Data, batch_size: int, epochs: int = 0) -> None:
        rows = n_samples(data["train"][0])
        self._long = epochs >= LONG
        self._model = model
        self._batch_size = batch_size
        self._lifted: Lifted = {}
        self._places = places(model)
        self.numbers = {name: place.get() for name, place in self._places.items()}
        first = map_arrays(lambda array: in_floatx(array[:batch_size]), data["train"][0])
        target = map_arrays(lambda array: in_floatx(array[:batch_size]), data["train"][1])
        layers = make_products_wide(model) if model.built else []
        self._columns = trim(model, layers, data)
        model._symbolic_build(data_batch=(first, target))
        for place in self._places.values():
            place.lift(self._lifted)
        kernels = [layer._kernel for layer in layers or make_products_wide(model)]
        self._axes = _stacking_axes(model, kernels)
        optimizer = model.optimizer
        slower = _slower_seconds(model, math.ceil(rows / batch_size), rows)
        self._short = epochs * slower <= SAVED_SECONDS
        self._rate = [v is getattr(optimizer, "_learning_rate", None) for v in optimizer.variables]
        self._metric_values = [variable.value for variable in model.metrics_variables]
        self._scored = {
            split: _in_batches(self.rows(data[split]), _evaluation_rows(n_samples(data[split][0])))
            for split in SPLITS[1:]
        }
        self._compiled: dict[int, dict[str, Any]] = {}  # by the number of members

    def block_size(self, n: int, most: int) -> int:
        """How many of n members to train at once, so that what a step touches stays in the cache.

        Convolutions take one: XLA has no fast path on the CPU for several kernels at once.
        """
        model = self._model
        touched = [
            *model.trainable_variables,
            *model.trainable_variables,
            *model.optimizer.variables,
        ]
        each = 4 * count(touched)
        convolves = any("conv" in type(layer).__name__.lower() for layer in layers_of(model))
        fitting = 1 if convolves else max(1, min(most, BLOCK_BYTES // max(each, 1)))
        return math.ceil(n / math.ceil(n / fitting))

    def rows(self, pair: tuple[Arrays, Arrays]) -> tuple[Arrays, ...]:
        """x and y as the program takes them."""
        x, *rest = (map_arrays(in_floatx, part) for part in pair)
        return (x if self._columns is None else self._columns.take(x), *rest)

    def _shown(self, batch: Any) -> Any:
        """A batch as the model takes it."""
        x, *rest = batch
        return (x if self._columns is None else self._columns.shown(x), *rest)

    def start(self, numbers: Sequence[Mapping[str, float]]) -> State:
        """The initial variables of members with these numbers at the places of the model."""
        model, n = self._model, len(numbers)
        stacked = [
            [_stack(v.value, n, axis) for v, axis in zip(variables, axes, strict=True)]
            for variables, axes in zip(
                (
                    model.trainable_variables,
                    model.non_trainable_variables,
                    model.optimizer.variables,
                ),
                self._axes,
                strict=True,
            )
        ]
        lifted = {
            name: np.array([own[name] for own in numbers], np.float32) for name in self._places
        }
        if "learning_rate" in lifted:
            i = self._rate.index(True)
            stacked[2][i] = lifted.pop("learning_rate").astype(stacked[2][i].dtype)
        return State(stacked[0], stacked[1], stacked[2], lifted)

    def batches(self, train: tuple[Arrays, ...], rows: np.ndarray) -> tuple[Any, Any]:
        """The training rows in an order: all full batches stacked, and the short last one."""
        return _in_batches(train, self._batch_size, rows)

    def epoch(self, state: State, batches: tuple[Any, Any]) -> tuple[State, dict[str, Any]]:
        """Train one epoch and validate: the logs of Keras' `fit`, each of shape (members,)."""
        heads, tails = batches
        n = self._members(state.trainable)
        if n not in self._compiled:
            self._compiled[n] = self._compile(state, batches)
        functions = self._compiled[n]
        metrics = self._new_metrics(n)
        for name, part in (("steps", heads), ("step", tails)):
            if part is not None:
                variables = (state.trainable, state.non_trainable, state.optimizer)
                trained = functions[name](variables, metrics, state.lifted, part)
                trainable, non_trainable, optimizer, metrics = trained
                state = State(trainable, non_trainable, optimizer, state.lifted)
        return state, self._score("validation", state, metrics)

    def trace(self) -> None:
        """Go through a step of two members and a score, computing nothing."""
        import jax

        state = self.start([self.numbers] * 2)
        metrics = self._new_metrics(2)
        batch = next(part for part in self._scored["validation"] if part is not None)
        if self._scored["validation"][0] is not None:
            batch = jax.tree.map(lambda array: array[0], batch)
        variables = (state.trainable, state.non_trainable, state.optimizer)
        jax.eval_shape(self._step, variables, metrics, state.lifted, batch)
        jax.eval_shape(
            self._scores,
            state.trainable,
            state.non_trainable,
            state.lifted,
            self._scored["validation"],
            metrics,
        )

    def test(self, state: State) -> dict[str, Any]:
        """The scores on the test data, each of shape (members,), of a block that was trained."""
        return self._score("test", state, None)

    def _members(self, trainable: list[Any]) -> int:
        return int(trainable[0].shape[self._axes[0][0]])

    def _new_metrics(self, n: int) -> list[Any]:
        return [_stack(value, n, 0) for value in self._metric_values]

    def _score(self, split: str, state: State, trained: Any) -> dict[str, Any]:
        function = self._compiled[self._members(state.trainable)][split]
        scores: dict[str, Any] = function(
            state.trainable, state.non_trainable, state.lifted, self._scored[split], trained
        )
        return scores

    def _compile(self, state: State, batches: tuple[Any, Any]) -> dict[str, Any]:
        """The functions of a block of members, by name.

        All are traced before any is compiled: one by one, each between two of others' epochs, they
        took half as long again.
        """
        import jax

        heads, tails = batches
        variables = (state.trainable, state.non_trainable, state.optimizer)
        metrics, scored = self._new_metrics(self._members(state.trainable)), self._scored
        trained = (variables, metrics, state.lifted)
        weights = (state.trainable, state.non_trainable, state.lifted)
        often = FAST_TO_RUN if self._long else IN_BETWEEN
        seldom = FAST_TO_RUN if self._long else FAST_TO_COMPILE

        def lowered(function: Any, *arguments: Any, donated: tuple[int, ...] = ()) -> Any:
            return jax.jit(function, donate_argnums=donated).lower(*arguments)

        wanted = {}
        if heads is not None:
            how = IN_BETWEEN if self._short else FAST_TO_RUN
            wanted["steps"] = lowered(self._steps, *trained, heads, donated=(0, 1)), how
        if tails is not None:
            wanted["step"] = lowered(self._step, *trained, tails), seldom
        wanted["validation"] = lowered(self._scores, *weights, scored["validation"], metrics), often
        wanted["test"] = lowered(self._scores, *weights, scored["test"], None), seldom
        return {name: _compile(*with_options) for name, with_options in wanted.items()}

    def _steps(self, variables: Any, metrics: Any, lifted: Lifted, batches: Any) -> Any:
        """All full batches of every member."""
        import jax

        def over(step: Any, state: Any) -> Any:
            return jax.lax.scan(lambda state, batch: (step(state, batch), None), state, batches)[0]

        return self._trained(variables, metrics, lifted, over)

    def _step(self, variables: Any, metrics: Any, lifted: Lifted, batch: Any) -> Any:
        """One batch of every member."""
        return self._trained(variables, metrics, lifted, lambda step, state: step(state, batch))

    def _trained(self, variables: Any, metrics: Any, lifted: Lifted, over: Any) -> Any:
        """The members' states after what `over` makes of a step and the states before."""

        def one(state: Any, lifted: Any, batch: Any) -> Any:
            self._lifted.update(lifted)
            return self._model.train_step(state, self._shown(batch))[1]

        n, axes = self._members(variables[0]), (*self._axes, [0] * len(metrics))
        state, numbers = _taken((*variables, metrics), axes, n), _numbers_of(lifted, n)
        every = _mapped(one, (axes, 0, None), axes, n)
        return _stacked(over(lambda state, batch: every(state, numbers, batch), state), axes, n)

    def _scores(
        self, trainable: Any, non_trainable: Any, lifted: Lifted, batches: Any, trained: Any
    ) -> Any:
        """The scores of every member; in validation with the results of the epoch's metrics."""
        import jax

        def one(variables: Any, metrics: Any, lifted: Any, batch: Any) -> Any:
            self._lifted.update(lifted)
            return self._model.test_step((*variables, metrics), self._shown(batch))[1][2]

        n, axes = self._members(trainable), self._axes[:2]
        variables, numbers = _taken((trainable, non_trainable), axes, n), _numbers_of(lifted, n)
        scored = _mapped(one, (axes, 0, 0, None), 0, n)

        def step(metrics: Any, batch: Any) -> tuple[Any, None]:
            return scored(variables, metrics, numbers, batch), None

        heads, tails = batches
        metrics = [value if n == 1 else _stack(value, n, 0) for value in self._metric_values]
        if heads is not None:
            metrics, _ = jax.lax.scan(step, metrics, heads)
        if tails is not None:
            metrics, _ = step(metrics, tails)
        scores = self._results(metrics, n)
        if trained is None:
            return scores
        (trained,) = _taken((trained,), ([0] * len(trained),), n)
        validated = {f"val_{name}": value for name, value in scores.items()}
        return {**self._results(trained, n), **validated}

    def _results(self, metrics: Any, n: int) -> dict[str, Any]:
        """What the metrics have come to, each of shape (members,)."""
        import keras

        def one(values: Any) -> Any:
            pairs = zip(self._model.metrics_variables, values, strict=True)
            with keras.StatelessScope(state_mapping=list(pairs)):
                return self._model.get_metrics_result()

        results: dict[str, Any] = _mapped(one, 0, 0, n)(metrics)
        return {name: value.reshape(n) for name, value in results.items()}


def _slower_seconds(model: keras.Model, steps: int, rows: int) -> float:
    """By how much an epoch of one member is slower when it was compiled fast."""
    parameters = count(model.trainable_variables)
    stateless, stateful, output = SLOWER_SECONDS
    each = stateful if count(model.optimizer.variables) >= parameters else stateless
    outputs = sum(
        math.prod(size or 1 for size in tensor.shape[1:])
        for layer in layers_of(model)
        for node in layer._inbound_nodes
        for tensor in node.output_tensors
    )
    slower: float = steps * parameters * each + rows * outputs * output
    return slower


def _stacking_axes(model: keras.Model, kernels: list[Any]) -> tuple[list[int | None], ...]:
    """On which axis each variable is stacked; None where members share it.

    `kernels`, and what an optimizer keeps of their shapes, go on the second axis.
    """
    wide = {id(kernel) for kernel in kernels}
    shapes = {tuple(v.shape) for v in model.trainable_variables if id(v) in wide}
    shared = {id(v) for v in model.non_trainable_variables if "seed_generator" in v.path}
    shared.add(id(model.optimizer._iterations))

    def axis(variable: Any) -> int | None:
        if id(variable) in shared:
            return None
        return 1 if tuple(variable.shape) in shapes else 0

    return tuple(
        [axis(variable) for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
    )


def _compile(lowered: Any, options: dict[str, Any]) -> Any:
    """Compile with options of XLA's, or without where this XLA does not know them."""
    try:
        return lowered.compile(compiler_options=options)
    except Exception as error:
        if "option" not in str(error).lower():
            raise
        return lowered.compile()


# One member alone is trained and scored without its axis: of length one, it has XLA copy the
# kernels at every step (199 ms an epoch in place of 268 for batches of 16, width 256 and Adam).


def _mapped(function: Any, in_axes: Any, out_axes: Any, n: int) -> Any:
    import jax

    return function if n == 1 else jax.vmap(function, in_axes=in_axes, out_axes=out_axes)


def _taken(parts: Any, axes: Any, n: int) -> tuple[list[Any], ...]:
    """Stacked variables as what is mapped takes them."""
    import jax.numpy as jnp

    return _along(jnp.squeeze, parts, axes) if n == 1 else tuple(parts)


def _stacked(parts: Any, axes: Any, n: int) -> tuple[list[Any], ...]:
    """Variables that what is mapped gave, stacked again."""
    import jax.numpy as jnp

    return _along(jnp.expand_dims, parts, axes) if n == 1 else tuple(parts)


def _numbers_of(lifted: Lifted, n: int) -> Lifted:
    return {name: values[0] for name, values in lifted.items()} if n == 1 else lifted


def _along(function: Any, parts: Any, axes: Any) -> tuple[list[Any], ...]:
    """A function of array and axis, of every array that is stacked on an axis."""
    return tuple(
        [
            array if axis is None else function(array, axis)
            for array, axis in zip(arrays, places, strict=True)
        ]
        for arrays, places in zip(parts, axes, strict=True)
    )


def _stack(value: Any, n: int, axis: int | None) -> np.ndarray:
    """n copies along the axis; one where it is None. By NumPy: JAX would compile each shape."""
    value = np.asarray(value)
    return np.copy(value) if axis is None else np.stack([value] * n, axis)


def _evaluation_rows(n: int) -> int:
    """Rows a batch to score n: if possible a divisor, so that there is no short last batch."""
    low, high = EVALUATION_ROWS
    if n <= high:
        return n
    return next((size for size in range(high, low - 1, -1) if n % size == 0), 256)


def _in_batches(
    parts: tuple[Arrays, ...], size: int, order: np.ndarray | None = None
) -> tuple[Any, Any]:
    """The rows on the device: all full batches stacked, and the short last one; None for none."""
    import jax

    order = np.arange(n_samples(parts[0])) if order is None else order
    whole = len(order) // size

    def head(array: np.ndarray) -> np.ndarray:
        rows = np.take(array, order[: whole * size], axis=0)
        return rows.reshape(whole, size, *array.shape[1:])

    def tail(array: np.ndarray) -> np.ndarray:
        return array[order[whole * size :]]

    heads, tails = (
        jax.device_put(tuple(map_arrays(cut, part) for part in parts)) for cut in (head, tail)
    )
    return (heads if whole else None), (tails if whole * size < len(order) else None)
