"""The engine `vectorized`: configurations that share a program, trained together on one thread.

On the JAX backend a compiled Keras model's `train_step` is a pure function of its variables. A pack
is `jax.lax.scan`, over an epoch's batches, of `jax.vmap(model.train_step)` over its members'
stacked variables, with the numbers in which they differ as one more argument. All that the user
compiled stays: loss, metrics, regularizers, optimizer, layers with state.
"""

from __future__ import annotations

import functools
import gc
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.errors import first_line
from tuning.grid import Configuration
from tuning.packing import Blueprint, Packing, blueprint
from tuning.problem import SPLITS, Arrays, Data, Problem, batch_size, epochs, n_samples
from tuning.training.batches import in_floatx, map_arrays, row_order
from tuning.training.columns import trim
from tuning.training.fit import compiled_model, fit, score_metrics
from tuning.training.lifting import Lifted, places
from tuning.training.outcome import Outcome, divergence, shortest_float32

if TYPE_CHECKING:
    import jax
    import keras

ENGINE = "vectorized"

BLOCK_BYTES = 5 * 2**20
"""Variables, optimizer state and gradients of the members trained at once. Measured, width 128,
batch 32, ms an epoch of one member: Adam (1.9 MB a member) 75 for 1 at once, 74 for 2 to 4, 79 for
6, 97 for 12; SGD (0.9 MB) 67, 60, 56, 56 and 64 for 1, 2, 3, 6 and 12."""
MOST_AT_ONCE = 64
TIDY_SECONDS = 10.0  # a pack that took longer is worth 0.3 s of freeing what it left
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
LONG = 100  # epochs of all members from which that too is compiled to run fast
SHORT = (10**9, 10**8)
"""Parameters times steps of all members up to which compiling well does not pay, if the optimizer
keeps up to one number a parameter, and if it keeps more."""


@dataclass
class Member:
    """A trajectory: configurations that differ only in how long they are trained.

    Attributes
    ----------
    trials : dict of int to int
        The epochs at which each grid index takes its result.
    numbers : dict of str to float
        What it has at the places of the model.
    curve : list of dict of str to float
        Keras' logs of each epoch.
    tests : dict of int to dict of str to float
        The test scores after so many epochs.
    epoch_seconds : list of float
        Its share of the time of each epoch.
    seconds : float
        Its share of all other time.
    """

    trials: dict[int, int]
    numbers: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    tests: dict[int, dict[str, float]] = field(default_factory=dict)
    epoch_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def last(self) -> int:
        """The epochs it is trained."""
        return max(self.trials.values())


def train_pack(
    problem: Problem, data: Data, trials: Sequence[int], seed: int, packing: Packing
) -> list[Outcome]:
    """Train configurations of one program together.

    A trial's outcome depends on problem, configuration and seed, to the rounding of floating-point
    sums: initial weights, order of the rows and noise are those of the program's model, whoever
    else is in the pack.

    Every configuration's model is built and compared before it is trained; one that does not build
    fails alone, one that is not what `packing` says trains alone, and whatever cannot be
    vectorized trains by `fit`.

    Parameters
    ----------
    problem : Problem
    data : dict
        As `problem.load_data` returned it, checked.
    trials : sequence of int
        Grid indices with one `packing.program`.
    seed : int
    packing : Packing
        As `tuning.packing.discover` returned it.

    Returns
    -------
    list of Outcome
        In the order of `trials`.
    """
    import jax

    started = time.perf_counter()
    built_with = packing.built_with(problem.grid[trials[0]])
    outcomes: dict[int, Outcome] = {}
    alone: list[int] = []
    members: list[Member] = []
    reference = _reference(problem, built_with, seed)
    for group in _trajectories(problem, trials, packing):
        numbers = _numbers(problem, group, reference, seed)
        if numbers is None:
            alone += group
        else:
            members.append(Member(group, numbers))
    if members:
        outcomes |= _train(_Task(problem, data, built_with, seed, started), members)
    for trial in alone:
        task = _Task(problem, data, problem.grid[trial], seed, time.perf_counter())
        try:
            own = _look(problem, task.built_with, seed)
        except Exception as error:
            outcomes[trial] = _failed(trial, seed, error)
        else:
            lone = Member({trial: epochs(task.built_with)}, own.numbers)
            outcomes |= _train(task, [lone])
    if time.perf_counter() - started > TIDY_SECONDS:
        jax.clear_caches()
        gc.collect()
    return [outcomes[trial] for trial in trials]


def trace(problem: Problem, data: Data, configuration: Configuration, seed: int) -> None:
    """Trace a training step of the configuration's program without compiling it.

    Raises
    ------
    Exception
        If the model cannot be vectorized: what JAX or Keras says of it.
    """
    Program(compiled_model(problem, configuration, seed), data, batch_size(configuration)).trace()


def _trajectories(
    problem: Problem, trials: Iterable[int], packing: Packing
) -> list[dict[int, int]]:
    """The trials by trajectory, each with its epochs."""
    groups: dict[tuple[Any, ...], dict[int, int]] = {}
    for trial in trials:
        configuration = problem.grid[trial]
        key = packing.trajectory(configuration)
        groups.setdefault(key, {})[trial] = epochs(configuration)
    return list(groups.values())


def _reference(problem: Problem, built_with: Configuration, seed: int) -> Blueprint | None:
    """The blueprint of the program's own model; None if that does not build."""
    try:
        return _look(problem, built_with, seed)
    except Exception:
        return None


def _look(problem: Problem, configuration: Configuration, seed: int) -> Blueprint:
    return blueprint(lambda chosen: compiled_model(problem, chosen, seed), configuration)


def _numbers(
    problem: Problem, trials: Iterable[int], reference: Blueprint | None, seed: int
) -> dict[str, float] | None:
    """What a trajectory has at the places of the program's model; None if it is of another.

    Where `build_model` reads the epochs, the models of all its trials are looked at, else one.
    """
    if reference is None:
        return None
    first = None
    for trial in trials:
        try:
            look = _look(problem, problem.grid[trial], seed)
        except Exception:
            return None
        first = first or look
        if not _is_of(reference, look, first):
            return None
        if "epochs" not in look.read | reference.read:
            break
    return first.numbers if first else None


def _is_of(reference: Blueprint, look: Blueprint, first: Blueprint) -> bool:
    """Whether a model is the program's, with the numbers its trajectory has."""
    return (
        not look.unproven
        and look.fingerprint == reference.fingerprint
        and look.numbers == first.numbers
        and all(value == 0 or name in reference.draws for name, value in look.numbers.items())
    )


@dataclass(frozen=True)
class _Task:
    """What a group of members is trained with."""

    problem: Problem
    data: Data
    built_with: Configuration
    seed: int
    started: float


def _train(task: _Task, members: list[Member]) -> dict[int, Outcome]:
    """Train the members, or have `fit` train what cannot be vectorized."""
    at_once = MOST_AT_ONCE
    while True:
        try:
            _run(task, members, at_once)
        except Exception as error:
            if at_once > 1 and len(members) > 1 and _is_out_of_memory(error):
                at_once = math.ceil(min(at_once, len(members)) / 2)
            else:
                trials = [trial for member in members for trial in member.trials]
                return {trial: fit(task.problem, task.data, trial, task.seed) for trial in trials}
        else:
            return {
                trial: _outcome(member, trial, task.seed)
                for member in members
                for trial in member.trials
            }
        for member in members:
            member.curve, member.tests, member.epoch_seconds = [], {}, []


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _run(task: _Task, members: list[Member], at_once: int) -> None:
    """Train all members, a block at a time, epoch by epoch."""
    import jax

    program = Program(
        compiled_model(task.problem, task.built_with, task.seed),
        task.data,
        batch_size(task.built_with),
        sum(member.last for member in members),
    )
    train = program.rows(task.data["train"])
    order = sorted(members, key=lambda member: -member.last)
    size = program.block_size(len(order), at_once)
    blocks = [order[i : i + size] for i in range(0, len(order), size)]
    states = [program.start(block) for block in blocks]
    for member in members:
        member.seconds = (time.perf_counter() - task.started) / len(members)
    for epoch in range(order[0].last):
        begun = time.perf_counter()
        rows = row_order(task.seed, epoch, n_samples(train[0]))
        batches = program.batches(train, rows)
        shuffling = (time.perf_counter() - begun) / len(members)
        for i, block in enumerate(blocks):
            if block[0].last <= epoch:
                continue
            begun = time.perf_counter()
            states[i], logs = program.epoch(states[i], batches)
            tested = any(epoch + 1 in member.trials.values() for member in block)
            tests = program.test(states[i]) if tested else {}
            logs, tests = jax.device_get((logs, tests))
            share = (time.perf_counter() - begun) / len(block) + shuffling
            for j, member in enumerate(block):
                if epoch < member.last:
                    member.curve.append(
                        {name: shortest_float32(values[j]) for name, values in logs.items()}
                    )
                    member.epoch_seconds.append(share)
                    if epoch + 1 in member.trials.values():
                        member.tests[epoch + 1] = {
                            name: shortest_float32(values[j]) for name, values in tests.items()
                        }


def _outcome(member: Member, trial: int, seed: int) -> Outcome:
    """The trial's part of its trajectory; it is charged the epochs that no shorter one is."""
    last = member.trials[trial]
    shorter = max((n for n in member.trials.values() if n < last), default=0)
    epoch_seconds = member.epoch_seconds[:last]
    seconds = sum(epoch_seconds[shorter:]) + (member.seconds if shorter == 0 else 0.0)
    for i, logs in enumerate(member.curve[:last]):
        if error := divergence(logs, i + 1):
            return Outcome(
                trial, seed, "diverged", ENGINE, "jax", {}, member.curve[: i + 1], seconds,
                epoch_seconds, error,
            )  # fmt: skip
    metrics = score_metrics(member.curve[last - 1], member.tests[last])
    return Outcome(
        trial, seed, "ok", ENGINE, "jax", metrics, member.curve[:last], seconds, epoch_seconds
    )


def _failed(trial: int, seed: int, error: Exception) -> Outcome:
    return Outcome(trial, seed, "failed", ENGINE, "jax", error=first_line(error))


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
        Of all members: whether it pays to compile well what runs once an epoch.

    Attributes
    ----------
    numbers : dict of str to float
        What the model was built with at its places.
    """

    def __init__(self, model: keras.Model, data: Data, batch_size: int, epochs: int = 0) -> None:
        steps = math.ceil(n_samples(data["train"][0]) / batch_size)
        self._long = epochs >= LONG
        self._model = model
        self._batch_size = batch_size
        self._lifted: Lifted = {}
        self._places = places(model)
        self.numbers = {name: place.get() for name, place in self._places.items()}
        first = map_arrays(lambda array: in_floatx(array[:batch_size]), data["train"][0])
        target = map_arrays(lambda array: in_floatx(array[:batch_size]), data["train"][1])
        layers = _make_products_wide(model) if model.built else []
        self._columns = trim(model, layers, data)
        model._symbolic_build(data_batch=(first, target))
        for place in self._places.values():
            place.lift(self._lifted)
        wide = {id(layer._kernel) for layer in layers or _make_products_wide(model)}
        shapes = {tuple(v.shape) for v in model.trainable_variables if id(v) in wide}

        def axis(variable: Any) -> int:
            return 1 if tuple(variable.shape) in shapes else 0

        seeds = {id(v) for v in model.non_trainable_variables if "seed_generator" in v.path}
        optimizer = model.optimizer
        shared = {id(optimizer._iterations)} | seeds
        self._axes = tuple(
            [None if id(v) in shared else axis(v) for v in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                optimizer.variables,
            )
        )
        parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
        kept = sum(math.prod(v.shape) for v in optimizer.variables)
        self._short = parameters * steps * epochs <= SHORT[kept >= 2 * parameters]
        self._rate = [v is getattr(optimizer, "_learning_rate", None) for v in optimizer.variables]
        self._metric_values = [variable.value for variable in model.metrics_variables]
        self._scored = {
            split: _in_batches(self.rows(data[split]), _evaluation_rows(n_samples(data[split][0])))
            for split in SPLITS[1:]
        }
        self._compiled: dict[Any, Any] = {}

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
        each = sum(4 * math.prod(variable.shape) for variable in touched)
        convolves = any("conv" in type(layer).__name__.lower() for layer in _layers(model))
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

    def start(self, block: Sequence[Member]) -> State:
        """The block's initial variables."""
        model, n = self._model, len(block)
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
            name: np.array([member.numbers[name] for member in block], np.float32)
            for name in self._places
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
        variables = (state.trainable, state.non_trainable, state.optimizer)
        metrics = [_stack(value, n, 0) for value in self._metric_values]
        if heads is not None:
            *variables, metrics = self._call("steps", variables, metrics, state.lifted, heads)
        if tails is not None:
            *variables, metrics = self._call("step", variables, metrics, state.lifted, tails)
        state = State(*variables, state.lifted)
        return state, self._score("validation", state, metrics)

    def trace(self) -> None:
        """Go through a step of two members and a score, computing nothing."""
        import jax

        state = self.start([Member({}, self.numbers)] * 2)
        metrics = [_stack(value, 2, 0) for value in self._metric_values]
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
        """The scores on the test data, each of shape (members,)."""
        return self._score("test", state, None)

    def _members(self, trainable: list[Any]) -> int:
        return int(trainable[0].shape[self._axes[0][0]])

    def _score(self, split: str, state: State, trained: Any) -> dict[str, Any]:
        scores: dict[str, Any] = self._call(
            split, state.trainable, state.non_trainable, state.lifted, self._scored[split], trained
        )
        return scores

    def _call(self, name: str, *arguments: Any) -> Any:
        """Run a function of the program, which is compiled when it is first called so."""
        import jax

        leaves, tree = jax.tree.flatten(arguments)
        key = (name, tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._compiled:
            function, donated, options = {
                "steps": (self._steps, (0, 1), IN_BETWEEN if self._short else FAST_TO_RUN),
                "step": (self._step, (), FAST_TO_RUN if self._long else FAST_TO_COMPILE),
                "validation": (self._scores, (), FAST_TO_RUN if self._long else IN_BETWEEN),
                "test": (self._scores, (), FAST_TO_COMPILE),
            }[name]
            jitted = jax.jit(function, donate_argnums=donated)
            self._compiled[key] = _compile(jitted.lower(*arguments), options)
        return self._compiled[key](*arguments)

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


def _compile(lowered: Any, options: dict[str, Any]) -> Any:
    """Compile with options of XLA's, or without where this XLA does not know them."""
    try:
        return lowered.compile(compiler_options=options)
    except Exception as error:
        if "option" not in str(error).lower():
            raise
        return lowered.compile()


def _layers(model: keras.Model) -> Iterator[Any]:
    yield from model._flatten_layers(include_self=False)


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


def _make_products_wide(model: keras.Model) -> list[Any]:
    """Have Dense layers that read rows of the model's input form their gradient as it is stored.

    Returns them.
    """
    import keras

    layers = []
    for layer in _layers(model):
        plain = type(layer) is keras.layers.Dense and not layer.lora_rank
        if plain and layer.quantization_mode is None and _reads_the_input(layer):
            layer.call = functools.partial(_dense, layer)
            layers.append(layer)
    return layers


def _reads_the_input(layer: Any) -> bool:
    """Whether a layer is applied once, to a matrix: the model's input, as it is or flattened."""
    import keras

    nodes = layer._inbound_nodes
    if len(nodes) != 1 or len(nodes[0].input_tensors) != 1:
        return False
    tensor = nodes[0].input_tensors[0]
    if len(tensor.shape) != 2:
        return False
    producer = tensor._keras_history.operation
    if type(producer) is keras.layers.Flatten:
        producer = producer._inbound_nodes[0].input_tensors[0]._keras_history.operation
    return isinstance(producer, keras.layers.InputLayer)


def _dense(layer: Any, inputs: Any, training: bool | None = None) -> Any:
    """What `keras.layers.Dense` computes of the columns its kernel is for, by `_product`."""
    import keras

    kernel = keras.ops.convert_to_tensor(layer.kernel)
    outputs = _product()(inputs[:, : kernel.shape[0]], kernel)
    if layer.bias is not None:
        outputs = keras.ops.add(outputs, layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


@functools.cache
def _product() -> Any:
    """Rows times kernel, its gradient laid out as the kernel is: (in, out), or (in, member, out).

    JAX would form the gradient transposed, and the optimizer then read it against the grain.
    """
    import jax

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def product(x: Any, kernel: Any) -> Any:
        return x @ kernel

    def forward(x: Any, kernel: Any) -> Any:
        return product(x, kernel), (x, kernel)

    def backward(saved: Any, gradient: Any) -> Any:
        x, kernel = saved
        contract = functools.partial(jax.lax.dot_general, preferred_element_type=gradient.dtype)
        return (
            contract(gradient, kernel, (((1,), (1,)), ((), ()))),
            contract(x, gradient, (((0,), (0,)), ((), ()))),
        )

    product.defvjp(forward, backward)
    return product
