"""The proof that two configurations share a program: their traced steps differ only in numbers.

What a compiled model does in training is its `train_step`, on JAX a pure function of its variables
and a batch; what it scores is its `test_step` and the results of its metrics; and what `fit` does
behind the last epoch is the optimizer's `finalize_variable_values`. `steps_of` traces all four to
lists of operations. Two models share a program exactly if

- the lists are the same operations with the same parameters, wiring, shapes and types, whatever
  the scalars and constant arrays in them, which `Steps.key` tells; and
- both trace to the same list twice.

What differs between them is then nothing but `Steps.numbers` and `Steps.state`, the initial
variables, and a pack gives each member its own. Names of layers, optimizers and losses, and what
objects say of themselves, decide nothing; what is traced is what Keras would compile.

A model is traced for one size of batch in training and one in scoring. For other sizes, such as
the short last batch, the first model of a program is traced again, and the others' numbers are
those that stand in the same places: see `Program`. It is assumed that no model does something else
for another number of rows where its neighbours in the pack do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.compatibility.keras import (
    build_state,
    directions,
    in_floats,
    learning_rate_place,
    own_loop,
    runs_python,
)
from tuning.packing.trace import Trace, Unproven, trace

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Steps:
    """The traced steps of a compiled model, and the numbers in them.

    Attributes
    ----------
    train, test, results, finish : Trace
        Of (variables, batch) to variables; of (variables without the optimizer's, batch) to those
        that a score can change, the non-trainable ones and the metrics'; of the metrics' variables
        to their results; of (trainable and optimizer's variables) to trainable ones. Where a
        model's own step logs something else than its metrics, `train` and `test` return that too,
        behind the variables.
    state : list of array
        The initial variables: trainable, non-trainable, the optimizer's, the metrics'.
    sizes : tuple of int
        How many of each there are.
    paths : tuple of str
        Their names.
    scores, logs : tuple of str
        The names of the metrics' results, and of what a step of the model's own logs.
    parameters : int
        That it trains.
    scored_rows : int, optional
        Rows of a batch that scores, where the model takes no other number.
    rate : int, optional
        The place in `state` of the optimizer's learning rate; None where that is a schedule.
    directions : dict
        For callbacks: see `tuning.compatibility.keras.directions`.
    """

    train: Trace
    test: Trace
    results: Trace
    finish: Trace
    state: list[np.ndarray]
    sizes: tuple[int, int, int, int]
    paths: tuple[str, ...]
    scores: tuple[str, ...]
    logs: tuple[str, ...]
    parameters: int
    scored_rows: int | None = None
    rate: int | None = None
    directions: dict[str, str | None] = field(default_factory=dict)

    @property
    def traces(self) -> tuple[Trace, Trace, Trace, Trace]:
        """The four, in the order of their names above."""
        return self.train, self.test, self.results, self.finish

    @property
    def key(self) -> str:
        """SHA-256 of all but numbers and state: models of one key share a program."""
        keys = [each.key for each in self.traces]
        return hashlib.sha256(repr((keys, self.sizes, self.scores, self.logs)).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 of all but the state: what the model does, and the numbers it does it with."""
        numbers = [number.tobytes() for own in self.numbers for number in own]
        return hashlib.sha256(b"".join([self.key.encode(), *numbers])).hexdigest()

    @property
    def origin(self) -> str:
        """SHA-256 of all of it: what the model does, its numbers, and its initial variables."""
        values = [value.tobytes() for value in self.state]
        return hashlib.sha256(b"".join([self.digest.encode(), *values])).hexdigest()

    @property
    def numbers(self) -> list[list[np.ndarray]]:
        """The numbers of each trace."""
        return [each.numbers for each in self.traces]


def steps_of(
    model: keras.Model,
    batch: tuple[Any, ...],
    scored: tuple[Any, ...],
    twice: bool = False,
    weigh: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None,
) -> Steps:
    """Trace what a model does.

    Parameters
    ----------
    model : keras.Model
        Compiled, on the JAX backend. Its variables are created where they were not.
    batch, scored : tuple of arrays or of `jax.ShapeDtypeStruct`
        x and y of a batch in training and in scoring.
    twice : bool
        Trace it twice and compare.
    weigh : callable, optional
        Of a batch in training as the trace takes it: as the model takes it. It is traced, too.

    Raises
    ------
    Unproven
        If a model like it could do something else, which no trace shows.
    Exception
        What building or tracing the model raised.
    """
    if twice:
        first, again = (steps_of(model, batch, scored, weigh=weigh) for _ in range(2))
        if first.key != again.key or not equal(first, again):
            raise Unproven("its step is not the same when it is traced twice")
        return again
    if name := own_loop(model):
        raise Unproven(f"its model has a {name} of its own")
    if told := runs_python(model):
        raise Unproven(f"its model is compiled with {told}, so every step runs Python")
    build_state(model, batch if weigh is None else _shapes(weigh, batch))
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = [[variable.value for variable in group] for group in groups]
    results, scores = _results(model, state[3])
    train_step = model.train_step if weigh is None else _weighed(model.train_step, weigh)
    train, train_logs = _step(train_step, state, batch, scores)
    test, test_logs = _step(model.test_step, [state[0], state[1], state[3]], scored, scores, 1)
    if train_logs != test_logs:
        raise Unproven("its own train_step and test_step log different things")
    rate = learning_rate_place(model)
    return Steps(
        train,
        test,
        results,
        _finish(model, state),
        [np.asarray(value) for group in state for value in group],
        (len(state[0]), len(state[1]), len(state[2]), len(state[3])),
        tuple(variable.path for group in groups for variable in group),
        scores,
        train_logs,
        sum(variable.value.size for variable in groups[0]),
        rate=None if rate is None else len(state[0]) + len(state[1]) + rate,
        directions=directions(model),
    )


def _shapes(function: Callable[[Any], Any], batch: Any) -> Any:
    import jax

    return jax.eval_shape(function, batch)


def _weighed(step: Callable[..., Any], weigh: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda state, batch: step(state, weigh(batch))


def _results(model: keras.Model, metrics: list[Any]) -> tuple[Trace, tuple[str, ...]]:
    """The trace of the metrics' results, and their names in its order."""
    import keras

    def results(values: list[Any]) -> dict[str, Any]:
        pairs = zip(model.metrics_variables, values, strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)):
            return in_floats(model.get_metrics_result())

    traced, returned = trace(results, metrics)
    return traced, tuple(sorted(returned))


def _step(
    step: Callable[..., Any],
    state: list[Any],
    batch: tuple[Any, ...],
    scores: tuple[str, ...],
    first: int = 0,
) -> tuple[Trace, tuple[str, ...]]:
    """The trace of a step to its variables from the group `first` on, and what else it logs."""

    def stepped(state: list[Any], batch: Any) -> Any:
        logs, after = step(tuple(state), batch)
        logs = in_floats(logs) if isinstance(logs, dict) else {"loss": logs}
        kept = {} if set(logs) == set(scores) else logs
        return list(after)[first:], kept

    traced, (_, logs) = trace(stepped, state, batch)
    return traced, tuple(sorted(logs))


def _finish(model: keras.Model, state: list[Any]) -> Trace:
    """The trace of what `fit` does to trainable variables behind the last epoch."""
    import keras

    def finish(trainable: list[Any], optimizer: list[Any]) -> list[Any]:
        variables = [*model.trainable_variables, *model.optimizer.variables]
        pairs = list(zip(variables, [*trainable, *optimizer], strict=True))
        with keras.StatelessScope(state_mapping=pairs) as scope:
            model.optimizer.finalize_variable_values(model.trainable_variables)
            values = [scope.get_current_value(v) for v in model.trainable_variables]
        return [t if value is None else value for t, value in zip(trainable, values, strict=True)]

    return trace(finish, state[0], state[2])[0]


def numbers_that_differ(members: Sequence[Steps]) -> list[dict[int, np.ndarray]]:
    """The numbers in which models of one program differ, for each trace, stacked over the models.

    Compared to the bit: what is equal stays a constant of the program.
    """
    differing = []
    for own in zip(*(member.numbers for member in members), strict=True):
        stacked = {}
        for place, values in enumerate(zip(*own, strict=True)):
            if not all(_equal(values[0], value) for value in values[1:]):
                stacked[place] = np.stack(values)
        differing.append(stacked)
    return differing


def variables_that_differ(members: Sequence[Steps]) -> list[bool]:
    """For each variable, whether models of one program begin with different values."""
    return [
        not all(_equal(values[0], value) for value in values[1:])
        for values in zip(*(member.state for member in members), strict=True)
    ]


def equal(one: Steps, other: Steps) -> bool:
    """Whether two models of one program have equal numbers and equal initial variables."""
    both = [one, other]
    return not any(numbers_that_differ(both)) and not any(variables_that_differ(both))


def _equal(one: Any, other: Any) -> bool:
    """Whether two arrays of one shape and type are equal to the bit."""
    if one is other:
        return True
    if one.size == 1:
        return bool(one.tobytes() == other.tobytes())
    ones, others = (np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in (one, other))
    return bool(np.array_equal(ones, others))
