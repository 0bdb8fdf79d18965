"""One compiled program: the training and scoring of models that share it, over stacked members."""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tuning.engines.batches import in_floatx
from tuning.engines.evaluation import doubtful, evaluate
from tuning.engines.frozen import computed_once
from tuning.engines.kept import Functions, family_of, functions_kept
from tuning.engines.parts import (
    Cut,
    Retrace,
    Sizes,
    lengths_of,
    parts_of,
    shapes_of,
    without_zero_columns,
)
from tuning.engines.stacking import stacked_variables, stacking_axes
from tuning.packing.packs import PARAMETER_ROW_SECONDS, PARAMETER_STEP_SECONDS
from tuning.packing.sameness import Steps, variables_that_differ
from tuning.packing.trace import Slot, Trace
from tuning.problem.data import Arrays, Data, map_arrays, n_samples, splits_of
from tuning.problem.folds import folds_of
from tuning.problem.problem import Problem

if TYPE_CHECKING:
    import jax

BLOCK_BYTES = 5 * 2**20
"""Variables, optimizer state and gradients of the members trained at once. Measured, width 128,
batch 32, ms an epoch of one member: Adam (1.9 MB a member) 75 for 1 at once, 74 for 2 to 4, 79 for
6, 97 for 12; SGD (0.9 MB) 67, 60, 56, 56 and 64 for 1, 2, 3, 6 and 12."""
ALONE_BYTES = 2**20  # of one number of a member's step from which each is trained alone

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
COMPILE_SECONDS = 0.6  # to trace and compile a program for another number of members
APART = 0.25  # by so much of itself a step takes longer in smaller blocks: mostly 0.1
LONG = 100  # epochs of all members from which that too is compiled to run fast: 12 for 36 ms a test
FAST_SECONDS = 1.0  # to compile a training epoch FAST_TO_RUN, where IN_BETWEEN is there already
SAVED_SECONDS = 0.35
"""By which IN_BETWEEN compiles a training epoch faster than FAST_TO_RUN: 0.25 to 0.45, measured."""
SLOWER_SECONDS = (1e-10, 2.7e-9, 2e-9)
"""By which it then runs slower: for a parameter and step, where the optimizer keeps nothing of it,
and where it does; and for each number that a layer makes of a row. Fitted to what four optimizers
lost with batches of 16 to 256 and widths of 64 and 256, 11 to 420 ms an epoch."""
SLOWER_SHARE = 0.6  # of such an epoch's seconds that is, at most


@dataclass
class State:
    """The variables of a block's members, as `Program` stacks them, and which members they are."""

    variables: list[jax.Array]
    members: Sequence[int]


class Program:
    """One compiled program: the training and scoring of models that share it.

    Variables and numbers in which the members differ are stacked on their first axis, but for
    kernels that meet rows which all members have in common: stacked on the second axis, (in,
    member, out), they are one wide matrix, whose product and gradient need no copy. What members
    share is held once: constants, frozen variables, the optimizer's count of steps, the states of
    seed generators, so that one draw of noise serves them all.

    Parameters
    ----------
    members : sequence of Steps
        With one `Steps.key`.
    retrace : callable
        Traces a member again for batches of another size.
    data : dict
    batch_size : int
        Rows.
    epochs : int
        Of all members: whether it pays to compile well, and not just fast.
    apart : bool
        Whether each member has an order of rows of its own.
    folds : sequence of int, optional
        The fold of each member, where the data has folds: rows are then numbers of rows, and those
        who have fewer batches wait for the others.
    tests : bool
        Whether any member is to be scored on the test data.
    problem : Problem, optional
        Whose models they are, to take from memory what other packs of it have left there.
    dry : bool
        Whether it is only traced: what is computed once a row is then taken to be zeros.
    own : sequence of int
        Places of variables that are set for each member by itself: see `set_value`.

    Attributes
    ----------
    sizes, paths : tuple
        How many variables there are of each kind, and their names, as in `Steps`.
    example : tuple
        A batch in training, of zeros.
    kept : array of int, optional
        The columns of x, or of what takes its place, where some are left out.
    prefixes : dict of str to Prefix
        What is computed once a row, by the name of the step that it was cut from.
    compile_seconds : float
        That it has compiled so far.
    """

    def __init__(
        self,
        members: Sequence[Steps],
        retrace: Retrace,
        data: Data,
        batch_size: int,
        *,
        epochs: int = 0,
        apart: bool = False,
        folds: Sequence[int] = (),
        tests: bool = True,
        problem: Problem | None = None,
        dry: bool = False,
        own: Sequence[int] = (),
    ) -> None:
        first = members[0]
        sizes = Sizes.of(data, batch_size, first.scored_rows)
        self.apart = apart or bool(folds)
        self._cuts = sizes.cuts
        self._folds, self._fold_of = folds_of(data) if folds else (), folds
        self.sizes, self.paths = first.sizes, first.paths
        self._members = members
        self.example = _zeros(shapes_of(data, "train", sizes.train[0]))
        self._batch_size = batch_size
        self._tests = tests
        self._long = epochs >= LONG
        self._groups = _Groups(*first.sizes)
        self._metric_values = first.state[self._groups.metrics]
        shapes = tuple(
            (split, repr(shapes_of(data, split, n_samples(data[split]))), lengths)
            for split, lengths in lengths_of(data).items()
        )
        family = family_of(problem, first, (sizes.train, sizes.scored, shapes)) if problem else None
        parts = parts_of(members, retrace, data, sizes, family)
        self._parts, self.prefixes = computed_once(parts, members, data, sizes)
        data = self._begun_behind(data, sizes, dry)
        self.kept: np.ndarray | None = None
        self._narrow: tuple[int, ...] = ()  # the variables whose first axis counts them
        if found := without_zero_columns(
            self._parts, first.sizes, data, [member.state for member in members]
        ):
            self._parts, self.kept, self._narrow = found
        self._training = self._parts["train", sizes.train[0]]
        self._scoring = self._parts["test", sizes.scored[0][1]]
        self._scoring_steps = sizes.steps
        ragged = any(cut.takes for cuts in sizes.cuts.values() for cut in cuts)
        begun = {place for place, each in enumerate(variables_that_differ(members)) if each}
        if family is not None:
            begun = family.begins_with(begun, (self.apart, bool(folds), tuple(own)))
        begun.update(own)
        self._stacked = stacked_variables(members, self._parts, self.apart, ragged, begun=begun)
        axes = [0 if each else None for each in self._stacked]
        axes = axes if self.apart else stacking_axes(self._training, self._stacked)
        self._axes = axes[self._groups.variables]
        self._data = {split: self._rows(data[split]) for split in splits_of(data)}
        self._scored = {
            split: self._in_batches(split, np.arange(n_samples(self._data[split])))
            for split in sizes.scored_at_once
            if not self._has_folds(split)
        }
        self._compiled: dict[int, dict[str, Any]] = {}  # by the number of members
        self.compile_seconds = 0.0
        self._functions_kept = functions_kept(self._key(shapes)) if problem else {}
        self._epochs = epochs
        self._slower = self._slower_seconds(self.n_steps, self.n_rows, sizes.scored[0][1])

    def block_size(self, n: int, most: int) -> int:
        """How many of n members to train at once, so that a step stays in the cache."""
        touched = [
            self._initial(0, place).nbytes * copies
            for group, copies in ((self._groups.trainable, 2), (self._groups.optimizer, 1))
            for place in range(len(self._axes))[group]  # a trainable one has its gradient
            if self._stacked[place]
        ]
        traced = self._training.traced
        largest = max(_bytes(traced, each.outputs) for each in traced.body.operations)
        if largest > ALONE_BYTES:
            return 1
        fitting = max(1, min(most, BLOCK_BYTES // max(sum(touched), 1)))
        return math.ceil(n / math.ceil(n / fitting))

    def blocks(self, n: int, most: int, epochs: int, *, pauses: bool = False) -> list[list[int]]:
        """Which of n members to train at once, in sizes that are compiled already if that pays.

        A block is filled up with its last member again, whose results are as those of the first.
        Where trainings pause, each is trained by itself if little is lost by that: how many of
        them will go on together is not known, and each other number has to be compiled.

        Parameters
        ----------
        n : int
        most : int
            Members at once.
        epochs : int
            That they are trained.
        pauses : bool
            Whether some of them may go on later.
        """
        size = self.block_size(n, most)
        if pauses and epochs * n * self._guessed_seconds() * APART < COMPILE_SECONDS:
            size = 1
        size = self._compiled_size(size, most, epochs * math.ceil(n / size))
        blocks = [[*range(i, min(i + size, n))] for i in range(0, n, size)]
        last = blocks[-1]
        if len(last) < size:
            last += last[-1:] * (self._filled_size(len(last), size, epochs) - len(last))
        return blocks

    def _compiled_size(self, n: int, most: int, epochs: int) -> int:
        """The size to train n members in: n, or one that is compiled if less time is lost by it."""
        known = self._sizes()
        if n in known:
            return n
        lost = {size: self._lost_in(size, n, epochs) for size in known if size <= most}
        best = min(lost, key=lost.__getitem__, default=n)
        return best if lost.get(best, math.inf) < COMPILE_SECONDS else n

    def _filled_size(self, n: int, planned: int, epochs: int) -> int:
        """The size to fill n members up to: n, or a larger one, at most the planned one."""
        known = self._sizes()
        if n in known:
            return n
        larger = sorted(size for size in known | {planned} if n < size <= planned)
        cheap = (size for size in larger if self._lost_in(size, n, epochs) < COMPILE_SECONDS)
        return next(cheap, n)

    def _sizes(self) -> set[int]:
        """The numbers of members for which it is compiled."""
        return {n for n, functions in self._functions_kept.items() if functions.compiled}

    def _lost_in(self, size: int, n: int, epochs: int) -> float:
        """About the seconds that n members lose if they are trained in blocks of another size."""
        kept = self._functions_kept.get(size)
        seconds = (kept.seconds if kept else 0.0) or size * self._guessed_seconds()
        return epochs * seconds * (1 - n / size if size > n else n / size * APART)

    def took(self, members: int, seconds: float) -> None:
        """An epoch of so many members took so long, without what was compiled for it."""
        functions = self._functions_kept.setdefault(members, Functions())
        functions.seconds = min(functions.seconds or seconds, seconds)

    def _guessed_seconds(self) -> float:
        """An epoch of one member, about."""
        size = sum(value.size for value in self._members[0].state[self._groups.trainable])
        steps = self.n_steps * PARAMETER_STEP_SECONDS
        return float(size * (self.n_rows * PARAMETER_ROW_SECONDS + steps))

    @property
    def n_rows(self) -> int:
        """The rows of an epoch, the most that a fold has."""
        return max((len(train) for train, _ in self._folds), default=n_samples(self._data["train"]))

    @property
    def n_steps(self) -> int:
        """The batches of an epoch."""
        return math.ceil(self.n_rows / self._batch_size)

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Operations of a step that may take longer in a pack than by themselves."""
        return doubtful(self._training.traced)

    def start(self, members: Sequence[int]) -> State:
        """The initial variables of some members."""
        variables = []
        for place, axis in enumerate(self._axes):
            values = [self._initial(i, place) for i in members]
            variables.append(values[0] if axis is None else np.stack(values, axis))
        return State(variables, members)

    def batches(self, orders: Sequence[np.ndarray], members: Sequence[int] = ()) -> Batches:
        """The training rows in an order, in batches.

        Parameters
        ----------
        orders : sequence of array of int, shape (rows,)
            Numbers of rows: one order for all members; if they have their own, one each.
        members : sequence of int
            Whose orders they are, if they have their own.
        """
        if not self.apart:
            return self._in_batches("train", orders[0])
        return self._numbered("train", members, orders)

    def epoch(self, state: State, batches: Batches) -> tuple[State, dict[str, Any]]:
        """Train one epoch and validate: the logs of Keras' `fit`, each of shape (members,)."""
        n = len(state.members)
        if n not in self._compiled:
            begun = time.perf_counter()
            self._compiled[n] = self._compile(state, batches)
            self.compile_seconds += time.perf_counter() - begun
        functions, given = self._compiled[n], self._given(state)
        carried = self._begun(state)
        for cut, part in zip(self._cuts["train"], batches, strict=True):
            if part.taken is None or part.taken.any():
                carried = functions[_name(cut)](carried, given, part.rows, part.taken)
        scored = self._scored_batches("validation", state.members)
        after, logs = functions["validation"](carried, given, scored)
        variables = list(carried[0])
        variables[self._groups.non_trainable] = after
        return State(variables, state.members), logs

    def test(self, state: State) -> dict[str, Any]:
        """The scores on the test data, each of shape (members,), as if training ended here.

        None where there is no test data.
        """
        if "test" not in self._scored:
            return {}
        function = self._compiled[len(state.members)]["test"]
        given = self._given(state)
        scored = self._scored_batches("test", state.members)
        scores: dict[str, Any] = function(state.variables, given, scored)
        return scores

    def weights(self, state: State, i: int) -> list[np.ndarray]:
        """A copy of the i-th member's trainable, non-trainable and optimizer's variables."""
        copies = []
        for place, (values, axis) in enumerate(zip(state.variables, self._axes, strict=True)):
            value = np.asarray(values)
            value = np.array(value) if axis is None else np.take(value, i, axis)
            if self.kept is not None and place in self._narrow:
                whole = np.array(self._members[state.members[i]].state[place])
                whole[self.kept] = value
                value = whole
            copies.append(value)
        return copies

    def value(self, state: State, place: int, i: int) -> np.ndarray:
        """The i-th member's value of a variable that is stacked on its first axis."""
        return np.array(state.variables[place][i])

    def set_value(self, state: State, place: int, i: int, value: float) -> None:
        """Set a variable of the i-th member, which is one of `own`."""
        values = np.array(state.variables[place])
        for k, member in enumerate(state.members):
            if member == state.members[i]:
                values[k] = value
        state.variables[place] = values

    def with_weights(self, state: State, weights: Mapping[int, Sequence[np.ndarray]]) -> State:
        """The state with other trainable and non-trainable variables of some members.

        Parameters
        ----------
        weights : mapping of int to sequence of array
            Of the i-th members, as `weights` copies them.
        """
        variables = list(state.variables)
        for place in range(self._groups.non_trainable.stop):
            if (axis := self._axes[place]) is None:
                continue
            values = np.moveaxis(np.array(variables[place]), axis, 0)
            for k, member in enumerate(state.members):
                for i, own in weights.items():
                    if member == state.members[i]:
                        values[k] = self._narrowed(place, own[place])
            variables[place] = np.moveaxis(values, 0, axis)
        return State(variables, state.members)

    @property
    def finishes(self) -> bool:
        """Whether `fit` changes weights behind the last epoch, as where they are averaged."""
        body = self._parts["finish", 0].traced.body
        return list(body.outputs) != list(body.inputs[: len(body.outputs)])

    def trace(self) -> None:
        """Go through a step and its scores for all members, computing nothing."""
        import jax

        state = self.start(range(len(self._members)))
        folds = [self._folds[fold][0] for fold in self._fold_of]
        every = [np.arange(self.n_rows)] * (len(self._members) if self.apart else 1)
        batches = self.batches(folds or every, state.members)
        for function, arguments, _ in self._functions(state, batches).values():
            jax.eval_shape(function, *arguments)

    def _has_folds(self, split: str) -> bool:
        """Whether each fold has other rows of a split."""
        return bool(self._folds) and split != "test"

    def _scored_batches(self, split: str, members: Sequence[int]) -> Batches:
        """What some members are scored on."""
        if not self._has_folds(split):
            return self._scored[split]
        return self._numbered(split, members, [self._folds[self._fold_of[i]][1] for i in members])

    def _in_batches(self, split: str, order: np.ndarray) -> Batches:
        """The rows of a split in an order, on the device."""
        import jax

        def cut_to(cut: Cut) -> Any:
            rows = cut.rows(order)
            return map_arrays(lambda array: np.take(array, rows, axis=0), self._data[split])

        return [Batch(jax.device_put(cut_to(cut))) for cut in self._cuts[split]]

    def _numbered(
        self, split: str, members: Sequence[int], orders: Sequence[np.ndarray]
    ) -> Batches:
        """The numbers of rows that each member takes, on the axis of members."""
        found = []
        for cut in self._cuts[split]:
            axis = 1 if cut.count else 0
            rows = np.stack([cut.rows(order) for order in orders], axis)
            taken = None
            if cut.takes is not None:
                taken = np.stack([cut.active(self._fold_of[i]) for i in members], axis)
            found.append(Batch(rows, taken))
        return found

    def _begun_behind(self, data: Data, sizes: Sizes, dry: bool) -> Data:
        """The data, with what is computed once a row in place of x."""
        state, found = self._members[0].state, dict(data)
        for split in splits_of(data):
            prefix = self.prefixes.get(sizes.steps.get(split, split))
            if prefix is not None:
                x, *others = data[split]
                found[split] = prefix.in_place_of(x, state, dry=dry), *others
        return found

    def _rows(self, parts: tuple[Arrays, ...]) -> tuple[Arrays, ...]:
        """x, y and any sample weights as the program takes them."""
        x, *others = map_arrays(in_floatx, parts)
        if self.kept is not None:
            x = np.take(x.reshape(len(x), -1), self.kept, axis=1)
        return x, *others

    def _initial(self, member: int, place: int) -> np.ndarray:
        """A member's initial value of a variable, without the columns that are left out."""
        return self._narrowed(place, self._members[member].state[place])

    def _narrowed(self, place: int, value: np.ndarray) -> np.ndarray:
        """A variable's value without the columns that are left out."""
        if self.kept is not None and place in self._narrow:
            return np.take(value, self.kept, axis=0)
        return value

    def _begun(self, state: State) -> tuple[list[Any], list[Any], list[Any]]:
        """What an epoch begins with: variables, metrics and what was last logged."""
        n = len(state.members)
        metrics = [_stack(value, n) for value in self._metric_values]
        return list(state.variables), metrics, self._no_logs(n)

    def _no_logs(self, n: int) -> list[Any]:
        return [np.zeros(n, np.float32) for _ in self._members[0].logs]

    def _given(self, state: State) -> dict[Any, Any]:
        """What the parts take besides variables and rows: members' numbers, and constants.

        Where members have orders of their own, also all rows that they train and validate.
        """
        chosen = list(state.members)
        given: dict[Any, Any] = {
            key: (
                {place: values[chosen] for place, values in part.numbers.items()},
                part.constants,
            )
            for key, part in self._parts.items()
        }
        if self.apart:
            given["rows", 0] = self._data["train"]
        if self._folds and self.prefixes:
            given["rows", 1] = self._data["validation"]
        return given

    def _compile(self, state: State, batches: Batches) -> dict[str, Any]:
        """The functions of a block of members, by name.

        All are traced before any is compiled: one by one, each between two of others' epochs, they
        took half as long again.
        """
        import jax

        n = len(state.members)
        kept = self._functions_kept.setdefault(n, Functions()).compiled
        seldom = FAST_TO_RUN if self._long else FAST_TO_COMPILE
        functions = self._functions(state, batches)
        steps = _name(self._cuts["train"][0])
        there = (steps, *IN_BETWEEN.items()) in kept
        limit = FAST_SECONDS if there else SAVED_SECONDS
        how = dict.fromkeys(functions, seldom) | {
            steps: IN_BETWEEN if self._lost_seconds(n) <= limit else FAST_TO_RUN,
            "validation": FAST_TO_RUN if self._long else IN_BETWEEN,
        }
        keys = {name: (name, *how[name].items()) for name in functions}
        best = {name: (name, *FAST_TO_RUN.items()) for name in functions}
        found = {name: kept.get(best[name]) or kept.get(keys[name]) for name in functions}
        lowered = {
            name: jax.jit(function, donate_argnums=overwritten).lower(*arguments)
            for name, (function, arguments, overwritten) in functions.items()
            if found[name] is None
        }
        for name, each in lowered.items():
            found[name] = kept[keys[name]] = _compile(each, how[name])
        return found

    def _lost_seconds(self, n: int) -> float:
        """That are lost if blocks of n members are not compiled to run fast."""
        measured = self._functions_kept[n].seconds or math.inf
        most = self._epochs / n * measured * SLOWER_SHARE
        return min(self._epochs * self._slower, most)

    def _key(self, shapes: Hashable) -> Hashable:
        """All that the compiled functions depend on, but the number of members."""
        parts = [
            (
                key,
                part.traced.key,
                [(i, own.shape[1:], str(own.dtype)) for i, own in sorted(part.numbers.items())],
                sorted(part.constants),
                [
                    (i, number.tobytes())
                    for i, number in enumerate(part.traced.numbers)
                    if i not in part.numbers and i not in part.constants
                ],
                part.columns and part.columns.count,
            )
            for key, part in sorted(self._parts.items())
        ]
        values = [np.asarray(value).tobytes() for value in self._metric_values]
        kept = None if self.kept is None else self.kept.tobytes()
        own = (
            self.sizes, self.apart, self._axes, self._stacked, self._scoring_steps, self._narrow,
            self._cuts,
        )  # fmt: skip
        key = self._members[0].key, self._batch_size, shapes, own, kept, values, parts
        return hashlib.sha256(repr(key).encode()).hexdigest()

    def _functions(self, state: State, batches: Batches) -> dict[str, Any]:
        """What is compiled, by name: function, arguments, which of them it may overwrite."""
        given, carried = self._given(state), self._begun(state)
        found: dict[str, Any] = {}
        for cut, part in zip(self._cuts["train"], batches, strict=True):
            function = functools.partial(self._trained, cut)
            overwritten = 0 if cut.count else ()
            found[_name(cut)] = function, (carried, given, part.rows, part.taken), overwritten
        scored = self._scored_batches("validation", state.members)
        found["validation"] = self._validated, (carried, given, scored), ()
        if self._tests and "test" in self._scored:
            scored = self._scored_batches("test", state.members)
            found["test"] = self._tested, (state.variables, given, scored), ()
        return found

    def _trained(self, cut: Cut, carried: Any, given: Any, rows: Any, taken: Any) -> Any:
        """The members' states after the batches of one size."""
        import jax

        part, (own, constants) = self._parts["train", cut.size], given["train", cut.size]
        variables, metrics, logs = carried
        n, kept = len(metrics[0]), [len(variables), len(variables) + len(metrics)]
        axes = [*self._axes, *[0] * (len(metrics) + len(logs))]

        def one(state: Any, own: Any, batch: Any) -> Any:
            if self.apart:
                batch = _gathered(given["rows", 0], batch)
            leaves = [*state[: kept[1]], *jax.tree.leaves(batch)]
            return evaluate(part.traced, own | constants, leaves, part.columns)

        every = _mapped(one, (axes, 0, 0 if self.apart else None), axes, n)
        numbers = _one(own, n)

        def step(state: Any, batch: Any) -> Any:
            rows, taken = batch
            return _where(taken, every(state, numbers, rows), state, axes)

        state = _taken([*variables, *metrics, *logs], axes, n)
        after = _stacked(_over(step, state, (rows, taken), cut), axes, n)
        return after[: kept[0]], after[kept[0] : kept[1]], after[kept[1] :]

    def _validated(self, carried: Any, given: Any, batches: Any) -> tuple[list[Any], Any]:
        """What scoring leaves of the non-trainable variables, and an epoch's logs."""
        variables, metrics, logs = carried
        after, scores = self._scores(variables, given, batches, "validation")
        trained = self._results(metrics, logs, given)
        return after, {**trained, **{f"val_{name}": value for name, value in scores.items()}}

    def _tested(self, variables: Any, given: Any, batches: Any) -> dict[str, Any]:
        """The scores of what `fit` leaves when it ends."""
        part, (own, constants) = self._parts["finish", 0], given["finish", 0]
        n, groups = self._count(variables, given), self._groups
        axes = [*self._axes[groups.trainable], *self._axes[groups.optimizer]]
        state = _taken([*variables[groups.trainable], *variables[groups.optimizer]], axes, n)

        def one(state: Any, own: Any) -> Any:
            return evaluate(part.traced, own | constants, state)

        ends = axes[groups.trainable]
        finished = _mapped(one, (axes, 0), ends, n)(state, _one(own, n))
        finished = _stacked(finished, ends, n)
        variables = [*finished, *variables[len(ends) :]]
        scores: dict[str, Any] = self._scores(variables, given, batches, "test")[1]
        return scores

    def _count(self, variables: Any, given: Any) -> int:
        """How many members the variables are of."""
        for value, axis in zip(variables, self._axes, strict=True):
            if axis is not None:
                return int(value.shape[axis])
        numbers = (own for key, (own, _) in given.items() if key[0] != "rows")
        return next((len(values) for own in numbers for values in own.values()), 1)

    def _scores(
        self, variables: Any, given: Any, batches: Any, split: str
    ) -> tuple[list[Any], Any]:
        """What scoring leaves of the non-trainable variables, and the scores of every member."""
        import jax
        import jax.numpy as jnp

        n, groups = self._count(variables, given), self._groups
        fixed = _taken(variables[groups.trainable], self._axes[groups.trainable], n)
        metrics = [_stack(value, n) for value in self._metric_values]
        axes = [*self._axes[groups.non_trainable], *[0] * len(metrics)]
        state = _taken([*variables[groups.non_trainable], *metrics], axes, n)

        has_folds = self._has_folds(split)
        out_axes = [*axes, *[0] * len(self._members[0].logs)]

        def stepped(cut: Cut, carried: Any, batch: Any) -> Any:
            rows, taken = batch
            key = (self._scoring_steps[split], cut.size)
            part, (own, constants) = self._parts[key], given[key]

            def one(fixed: Any, state: Any, own: Any, batch: Any) -> Any:
                if has_folds:
                    kept = given.get(("rows", 1), given["rows", 0])
                    batch = _gathered(kept[: len(self._data[split])], batch)
                inputs = [*fixed, *state, *jax.tree.leaves(batch)]
                return evaluate(part.traced, own | constants, inputs, part.columns)

            in_axes = (self._axes[groups.trainable], axes, 0, 0 if has_folds else None)
            every = _mapped(one, in_axes, out_axes, n)
            state, before = carried
            made = every(fixed, state, _one(own, n), rows)
            logs = [jnp.reshape(log, (n,)).astype(jnp.float32) for log in made[len(axes) :]]
            state = _where(taken, made[: len(axes)], state, axes)
            return state, _where(taken, logs, before, [0] * len(logs))

        carried: Any = (state, self._no_logs(n))
        for cut, part in zip(self._cuts[split], batches, strict=True):
            carried = _over(functools.partial(stepped, cut), carried, part, cut)
        after, n_others = _stacked(carried[0], axes, n), len(axes) - len(metrics)
        return after[:n_others], self._results(after[n_others:], carried[1], given)

    def _results(self, metrics: Any, logs: Any, given: Any) -> dict[str, Any]:
        """What the metrics have come to, or what the model's own step logged last."""
        first = self._members[0]
        if first.logs:
            return dict(zip(first.logs, logs, strict=True))
        part, (own, constants) = self._parts["results", 0], given["results", 0]
        n, axes = len(metrics[0]), [0] * len(metrics)

        def one(values: Any, own: Any) -> Any:
            return evaluate(part.traced, own | constants, values)

        values = _mapped(one, (axes, 0), 0, n)(_taken(metrics, axes, n), _one(own, n))
        pairs = zip(first.scores, values, strict=True)
        return {name: value.reshape(n) for name, value in pairs}

    def _slower_seconds(self, steps: int, rows: int, scored: int) -> float:
        """By how much an epoch of one member is slower when it was compiled fast."""
        state = self._members[0].state
        parameters = sum(value.size for value in state[self._groups.trainable])
        kept = sum(value.size for value in state[self._groups.optimizer])
        stateless, stateful, output = SLOWER_SECONDS
        outputs = sum(
            aval.size / scored
            for aval in self._scoring.traced.avals
            if aval.shape[:1] == (scored,) and aval.ndim > 1
        )
        each = stateful if kept >= parameters else stateless
        return float(steps * parameters * each + rows * outputs * output)


class Batch(NamedTuple):
    """Batches of one size, as a program takes them.

    Attributes
    ----------
    rows : tree of arrays, or array of int
        The rows; or, where members have their own, the numbers of these, each of shape
        (count, members, size), or without the first where it is a short last batch.
    taken : array of bool, optional
        Of shape (count, members), or without the first: whether a member goes through it.
    """

    rows: Any
    taken: np.ndarray | None = None


Batches: TypeAlias = list[Batch]
"""The batches of each `Cut` of a split."""


class _Groups:
    """Where each kind of variable stands among all."""

    def __init__(self, trainable: int, non_trainable: int, optimizer: int, metrics: int) -> None:
        self.trainable = slice(0, trainable)
        self.non_trainable = slice(trainable, trainable + non_trainable)
        self.optimizer = slice(self.non_trainable.stop, self.non_trainable.stop + optimizer)
        self.variables = slice(0, self.optimizer.stop)
        self.metrics = slice(self.optimizer.stop, self.optimizer.stop + metrics)


def _zeros(shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    def zeros(shape: Any) -> np.ndarray:
        return np.zeros(shape.shape, shape.dtype)

    return map_arrays(zeros, shapes)  # type: ignore[no-any-return]


def _bytes(traced: Trace, slots: Iterable[Slot]) -> int:
    """The size of an operation's results, in bytes."""
    avals = (traced.avals[slot.index] for slot in slots)
    return sum(aval.size * aval.dtype.itemsize for aval in avals)


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

    if n == 1:
        return function
    return jax.vmap(function, in_axes=in_axes, out_axes=out_axes, axis_size=n)


def _taken(values: Iterable[Any], axes: Sequence[int | None], n: int) -> list[Any]:
    """Stacked variables as what is mapped takes them."""
    import jax.numpy as jnp

    return _along(jnp.squeeze, values, axes) if n == 1 else list(values)


def _stacked(values: Iterable[Any], axes: Sequence[int | None], n: int) -> list[Any]:
    """Variables that what is mapped gave, stacked again."""
    import jax.numpy as jnp

    return _along(jnp.expand_dims, values, axes) if n == 1 else list(values)


def _one(numbers: Mapping[int, Any], n: int) -> dict[int, Any]:
    """Stacked numbers as what is mapped takes them."""
    return {place: values[0] if n == 1 else values for place, values in numbers.items()}


def _along(function: Any, values: Iterable[Any], axes: Sequence[int | None]) -> list[Any]:
    """A function of array and axis, of every array that is stacked on an axis."""
    return [
        value if axis is None else function(value, axis)
        for value, axis in zip(values, axes, strict=True)
    ]


def _stack(value: Any, n: int) -> np.ndarray:
    """n copies along a first axis. By NumPy: JAX would compile each shape."""
    return np.stack([np.asarray(value)] * n)


def _name(cut: Cut) -> str:
    """The name of the function that trains the batches of a cut."""
    name = "steps" if cut.count else "step"
    return name if cut.takes is None else f"{name} of some, {cut.size} rows"


def _gathered(rows: Any, numbers: Any) -> Any:
    """The rows of some numbers, of every array."""
    import jax
    import jax.numpy as jnp

    order = jnp.reshape(numbers, (-1,))
    return jax.tree.map(lambda array: array[order], rows)


def _over(step: Callable[[Any, Any], Any], state: Any, batches: Any, cut: Cut) -> Any:
    """The state after every batch of a cut."""
    import jax

    if not cut.count:
        return step(state, tuple(batches))
    over = tuple(batches)
    return jax.lax.scan(lambda state, batch: (step(state, batch), None), state, over)[0]


def _where(
    taken: Any, after: Sequence[Any], before: Sequence[Any], axes: Sequence[int | None]
) -> list[Any]:
    """The values after a step, of the members that took it; of the others those before.

    What members share no step changes, where some take fewer.
    """
    import jax.numpy as jnp

    if taken is None:
        return list(after)
    found = []
    for new, old, axis in zip(after, before, axes, strict=True):
        if axis is None:
            found.append(new)
            continue
        shape = [1] * jnp.ndim(new)
        if taken.size > 1:
            shape[axis] = taken.size
        found.append(jnp.where(jnp.reshape(taken, shape), new, old))
    return found
