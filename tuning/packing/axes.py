"""The effect of each axis on the compiled program, and which configurations share one."""

from __future__ import annotations

import hashlib
import itertools
import math
import sys
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from tuning.packing.differences import lifted_difference, structural_difference
from tuning.packing.sameness import Steps, equal
from tuning.packing.trace import Unproven
from tuning.problem.problem import epochs_of
from tuning.space.grid import Grid
from tuning.space.labels import Value
from tuning.space.near import GOLDEN, completed, having, looked_at
from tuning.space.space import Configuration, Space
from tuning.trial import Trial, epochs, point_of

Kind: TypeAlias = Literal["structural", "lifted", "fidelity"]
Program: TypeAlias = tuple[Hashable, ...]

OF_CALLBACKS = "an argument of callbacks"


@dataclass(frozen=True)
class Axis:
    """The effect of an axis on the compiled program.

    Attributes
    ----------
    kind : {"structural", "lifted", "fidelity"}
        Structural: changes the program. Lifted: enters it as an input. Fidelity: how long a
        trajectory is; longer ones pass through the results of shorter ones.
    why : str
        What of the model the axis changes.
    classes : dict of value to int
        Of a structural axis: values of one class share a program. One not there has its own.
    sizes : dict of value to float
        How many times as many parameters as `Packing.parameters` the model has with a value, where
        that was seen and is not 1.
    others : int, optional
        Of a range, the class of the values that were not looked at; None where each has its own.
    is_range : bool
        Whether it has values that were not looked at.
    """

    kind: Kind
    why: str
    classes: dict[Value, int] = field(default_factory=dict)
    sizes: dict[Value, float] = field(default_factory=dict)
    others: int | None = None
    is_range: bool = False

    def programs(self, values: Sequence[Value]) -> int:
        """The number of programs that the values need."""
        if self.kind != "structural":
            return 1
        return len({self.class_of(value) for value in values})

    def class_of(self, value: Value) -> Value:
        """The class of a value: values of one class share a program."""
        found = self.classes.get(value, self.others)
        return value if found is None else f"class {found}"

    def size_of(self, value: Value) -> float:
        """How many times as many parameters the model has with a value, as far as is known."""
        if value in self.sizes or not self.is_range or not isinstance(value, int | float):
            return self.sizes.get(value, 1.0)
        known = sorted((x, y) for x, y in self.sizes.items() if isinstance(x, int | float))
        return float(np.interp(value, [x for x, _ in known], [y for _, y in known]))


@dataclass(frozen=True)
class Packing:
    """The programs that the configurations of a space share.

    Attributes
    ----------
    axes : dict of str to Axis
    reason : str
        Why nothing can be packed, and every configuration goes through `fit`; else empty.
    parameters : int
        What the model trains that was looked at first; 0 where none was.
    drawn : bool
        Whether models are built with noise of strength 0 drawn, as others of their program draw it.
    doubtful : tuple of str
        Operations that may take longer in a pack than by themselves.
    step : str
        A digest of what the model does that was looked at first; empty where none was.
    once : tuple of (int, float)
        How many operations of a step in training are computed once a row, as they are frozen, and
        their share of its arithmetic.
    """

    axes: dict[str, Axis] = field(default_factory=dict)
    reason: str = ""
    parameters: int = 0
    drawn: bool = False
    doubtful: tuple[str, ...] = ()
    step: str = ""
    once: tuple[int, float] = (0, 0.0)

    def size(self, configuration: Mapping[str, Value]) -> float:
        """About how many parameters the configuration's model trains: each axis does its share."""
        shares = (self.axes[name].size_of(value) for name, value in configuration.items())
        return 0.0 if self.reason else self.parameters * math.prod(shares)

    def program(self, configuration: Mapping[str, Value]) -> Program:
        """The structural values of a configuration: those of one program have the same."""
        return tuple(
            axis.class_of(configuration[name]) if name in configuration else ()
            for name, axis in self.axes.items()
            if axis.kind == "structural"
        )

    def trajectory(self, configuration: Mapping[str, Value]) -> Program:
        """The values of a configuration but its epochs: those of one trajectory have the same."""
        return tuple(
            configuration.get(name, ())
            for name, axis in self.axes.items()
            if axis.kind != "fidelity"
        )

    def trajectory_of(self, trial: Trial) -> Hashable:
        """The training that a trial is a part of: longer ones pass through the shorter."""
        if self.reason:
            return trial.point, trial.seed, trial.fold
        return self.trajectory(trial.configuration), trial.seed, trial.fold

    def count_of(self, configurations: Sequence[Mapping[str, Value]]) -> tuple[int, int, int]:
        """The programs and trajectories of configurations, and the epochs the latter train."""
        programs = {self.program(each) for each in configurations}
        longest: dict[Program, int] = {}
        for each in configurations:
            key = self.trajectory(each)
            longest[key] = max(longest.get(key, 0), epochs(each))
        return len(programs), len(longest), sum(longest.values())

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each axis; empty if nothing can be packed."""
        return {} if self.reason else {name: axis.kind for name, axis in self.axes.items()}

    def count(self, grid: Grid) -> tuple[int, int, int]:
        """The programs and trajectories of a whole grid, and the epochs the latter train."""
        programs = trajectories = 1
        for name, values in grid.axes.items():
            kind = self.axes[name].kind
            programs *= self.axes[name].programs(values)
            trajectories *= len(values) if kind != "fidelity" else 1
        fidelity = self.axes["epochs"].kind == "fidelity" if "epochs" in self.axes else False
        if fidelity or "epochs" not in grid.axes:
            return programs, trajectories, trajectories * max(epochs_of(grid))
        each = trajectories // len(grid.axes["epochs"])
        return programs, trajectories, each * sum(epochs_of(grid))


def shard_position(grid: Grid, index: int, kinds: Mapping[str, Kind]) -> tuple[int, int]:
    """The position of a trial's trajectory among all of the grid's, and their number.

    Those of one program stand side by side, and programs in a scattered order, so that every
    stretch has of all kinds.

    Parameters
    ----------
    grid : Grid
    index : int
        The trial's place in the grid.
    kinds : mapping of str to {"structural", "lifted", "fidelity"}
        Of each axis; empty where nothing is packed.
    """
    if not kinds:
        return _scattered(index, grid.size), grid.size

    def number(kind: Kind) -> tuple[int, int]:
        """The position among all combinations of the axes of a kind, and their number."""
        number, of = 0, 1
        for name, values in grid.axes.items():
            if kinds[name] == kind:
                number = number * len(values) + grid.position(name, index)
                of *= len(values)
        return number, of

    (program, programs), (member, members) = number("structural"), number("lifted")
    return _scattered(program, programs) * members + member, programs * members


def scattered_position(configuration: Configuration, kinds: Mapping[str, Kind]) -> tuple[int, int]:
    """A position of a trial's trajectory, by a digest of it, where its space is no grid."""
    own = {name: value for name, value in configuration.items() if kinds.get(name) != "fidelity"}
    digest = hashlib.sha256(point_of(own).encode()).digest()
    return int.from_bytes(digest[:4], "big"), 2**32


def _scattered(i: int, n: int) -> int:
    """The i-th of n in an order where neighbours are far apart: a step of the golden ratio."""
    step = next(k for k in itertools.count(round(n * GOLDEN)) if math.gcd(k, n) == 1)
    return i * step % n


UNPACKED = Packing(reason="it was not looked at")


Look: TypeAlias = Callable[..., Steps]
"""Builds and traces a configuration's model: of (configuration, drawn, twice=False)."""


Reads: TypeAlias = Callable[[Configuration], Set[str]]
"""The axes that the callbacks of a configuration read."""


def reads_none(configuration: Configuration) -> Set[str]:
    """Of a problem without callbacks."""
    return frozenset()


def discover(
    space: Space,
    look: Look,
    base: Configuration,
    reads: Reads = reads_none,
    of_data: Collection[str] = (),
) -> Packing:
    """Find what each axis is, by tracing the model along it and comparing.

    One configuration is varied by one axis at a time: for a grid of n axes with k values each that
    is n·k models, not kⁿ. Of a range, its ends and two numbers within are looked at, or all if it
    has few; a hyperparameter that exists only beside others, in a configuration that has these.
    That two axes may act on each other is left to the proof of every pack before it is trained.

    Parameters
    ----------
    space : Space
    look : callable
        Takes a configuration, whether noise of strength 0 is drawn like any other, and whether to
        trace twice; returns what the model does, as `tuning.packing.sameness.steps_of`.
    base : dict
        The configuration to vary: one whose model builds.
    reads : callable
        Which axes the callbacks of a configuration read.
    of_data : collection of str
        Axes that `load_data` reads: no two values of one share a program.

    Raises
    ------
    Exception
        What building its model raised.
    """
    try:
        first, again = look(base, False, twice=True), look(base, False)
    except Unproven as error:
        return Packing(reason=str(error))
    if first.key != again.key or not equal(first, again):
        return Packing(reason="build_model does not build the same model twice")
    values = {name: looked_at(parameter) for name, parameter in space.parameters.items()}
    packing = _along(space, look, base, first, reads, of_data=of_data, drawn=False)
    if any(len(axis.classes) > 1 and 0 in values[name] for name, axis in packing.axes.items()):
        steps = look(base, True)
        drawn = _along(space, look, base, steps, reads, of_data=of_data, drawn=True)
        if _programs(drawn, values) < _programs(packing, values):
            return drawn
    return packing


def still_holds(known: Packing, space: Space, look: Look, base: Configuration) -> bool:
    """Whether what was found of a space before is what would be found now, as far as is seen.

    The model that was looked at first has to be the same to the last constant, and no longer
    trainings may do something else. What else is known is proven before a pack trains.

    Parameters
    ----------
    known : Packing
    space, look, base
        As `discover` takes them.

    Raises
    ------
    Exception
        What building a model raised.
    """
    first = look(base, known.drawn)
    if (first.digest, first.parameters) != (known.step, known.parameters):
        return False
    lengths = [name for name, axis in known.axes.items() if axis.kind == "fidelity"]
    return all(
        other.key == first.key and equal(first, other)
        for name in lengths
        for value in looked_at(space.parameters[name])
        if value != base[name]
        for other in [look(completed(space, {**base, name: value}), known.drawn)]
    )


def _programs(packing: Packing, values: Mapping[str, Sequence[Value]]) -> int:
    return math.prod(axis.programs(values[name]) for name, axis in packing.axes.items())


def _along(
    space: Space,
    look: Look,
    base: Configuration,
    first: Steps,
    reads: Reads,
    *,
    of_data: Collection[str],
    drawn: bool,
) -> Packing:
    """The kind of each axis, with noise of strength 0 drawn or not."""
    axes = {}
    for name, parameter in space.parameters.items():
        if name == "batch_size":
            axes[name] = Axis("structural", "the size of a batch")
            continue
        if name in of_data:
            axes[name] = Axis("structural", "read by load_data")
            continue
        values = looked_at(parameter)
        own_base = base if name in base else having(space, base, name)
        variants: dict[Value, Steps | str] = {}
        for value in values:
            if own_base is base and value == base[name]:
                variants[value] = first
                continue
            try:
                variants[value] = look(completed(space, {**own_base, name: value}), drawn)
            except Unproven as error:
                variants[value] = str(error)
            except Exception:  # its own trials will say so
                continue
        compared = first if own_base is base else _first_of(variants)
        if compared is None:
            axes[name] = Axis("structural", _why_unknown(variants), {})
            continue
        axis = _axis(name, compared, variants, of_callbacks=name in reads(own_base))
        is_range = len(values) < len(parameter.values or range(sys.maxsize))
        axes[name] = _of_range(axis, values, compared, variants) if is_range else axis
    return Packing(axes, parameters=first.parameters, drawn=drawn, step=first.digest)


def _first_of(variants: Mapping[Value, Steps | str]) -> Steps | None:
    return next((steps for steps in variants.values() if isinstance(steps, Steps)), None)


def _why_unknown(variants: Mapping[Value, Steps | str]) -> str:
    return next((why for why in variants.values() if isinstance(why, str)), "no model builds")


def _of_range(
    axis: Axis, values: Sequence[Value], first: Steps, variants: Mapping[Value, Steps | str]
) -> Axis:
    """The axis, with what is known of the values of its range that were not looked at.

    If both numbers within the range are of one class, the others are taken to be of it as well.
    """
    inner = {axis.classes.get(value) for value in values[:2]}
    sizes = {
        value: steps.parameters / first.parameters
        for value, steps in variants.items()
        if isinstance(steps, Steps) and first.parameters
    }
    others = inner.pop() if len(inner) == 1 else None
    return replace(axis, sizes=sizes, others=others, is_range=bool(sizes))


def _axis(
    name: str, first: Steps, variants: Mapping[Value, Steps | str], *, of_callbacks: bool
) -> Axis:
    """The kind of an axis, from the traces of its values' models."""
    traced = {value: steps for value, steps in variants.items() if isinstance(steps, Steps)}
    sizes = {
        value: steps.parameters / first.parameters
        for value, steps in traced.items()
        if first.parameters and steps.parameters not in (0, first.parameters)
    }
    keys = [steps if isinstance(steps, str) else steps.key for steps in variants.values()]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    classes = {value: places[key] for value, key in zip(variants, keys, strict=True)}
    unproven = next((steps for steps in variants.values() if isinstance(steps, str)), "")
    different = [steps for steps in traced.values() if steps.key != first.key]
    if unproven or different:
        why = unproven or structural_difference(first, different[0])
        return Axis("structural", why, classes, sizes)
    moved = lifted_difference(list(traced.values()))
    if of_callbacks:
        return Axis("lifted", f"{moved}, and an argument of callbacks" if moved else OF_CALLBACKS)
    if name == "epochs" and not moved:
        return Axis("fidelity", "the model is the same; longer trainings pass through shorter")
    return Axis("lifted", moved or "it leaves the model as it is")
