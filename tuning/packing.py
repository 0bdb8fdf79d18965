"""Which configurations share one compiled program, found by building models and comparing them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tuning.grid import Configuration, Grid, Value
from tuning.problem import Problem, epochs_of

if TYPE_CHECKING:
    import keras

Kind: TypeAlias = Literal["structural", "lifted", "fidelity"]
Program: TypeAlias = tuple[Value, ...]

GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Axis:
    """What an axis is to the compiled program.

    Attributes
    ----------
    kind : {"structural", "lifted", "fidelity"}
        Structural: changes the program. Lifted: enters it as an input. Fidelity: how long a
        trajectory is; longer ones pass through the results of shorter ones.
    why : str
        What of the model the axis changes.
    built_with : value, optional
        The value a program is built with, whatever its members have; for a lifted axis.
    sizes : dict of value to float
        How many times as many parameters as `Packing.parameters` the model has with a value, where
        that was seen and is not 1.
    """

    kind: Kind
    why: str
    built_with: Value = None
    sizes: dict[Value, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Packing:
    """How the configurations of a grid share programs.

    Attributes
    ----------
    axes : dict of str to Axis
    reason : str
        Why nothing can be packed, and every configuration goes through `fit`; else empty.
    parameters : int
        What the model trains that was looked at first; 0 where none was.
    """

    axes: dict[str, Axis] = field(default_factory=dict)
    reason: str = ""
    parameters: int = 0

    def size(self, configuration: Mapping[str, Value]) -> float:
        """About how many parameters the configuration's model trains: each axis does its share."""
        shares = (self.axes[name].sizes.get(value, 1.0) for name, value in configuration.items())
        return 0.0 if self.reason else self.parameters * math.prod(shares)

    def program(self, configuration: Mapping[str, Value]) -> Program:
        """What the configurations of one program have in common: their structural values."""
        return tuple(
            value for name, value in configuration.items() if self.axes[name].kind == "structural"
        )

    def trajectory(self, configuration: Mapping[str, Value]) -> Program:
        """What the configurations have in common that differ only in how long they are trained."""
        return tuple(
            value for name, value in configuration.items() if self.axes[name].kind != "fidelity"
        )

    def built_with(self, configuration: Mapping[str, Value]) -> Configuration:
        """The configuration whose model stands for all of a program."""
        return {
            name: self.axes[name].built_with if self.axes[name].kind == "lifted" else value
            for name, value in configuration.items()
        }

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each axis; empty if nothing can be packed."""
        return {} if self.reason else {name: axis.kind for name, axis in self.axes.items()}

    def count(self, grid: Grid) -> tuple[int, int, int]:
        """The programs and trajectories of a whole grid, and the epochs the latter train."""
        programs = trajectories = 1
        for name, values in grid.axes.items():
            kind = self.axes[name].kind
            programs *= len(values) if kind == "structural" else 1
            trajectories *= len(values) if kind != "fidelity" else 1
        fidelity = self.axes["epochs"].kind == "fidelity" if "epochs" in self.axes else False
        if fidelity or "epochs" not in grid.axes:
            return programs, trajectories, trajectories * max(epochs_of(grid))
        each = trajectories // len(grid.axes["epochs"])
        return programs, trajectories, each * sum(epochs_of(grid))


def place(grid: Grid, trial: int, kinds: Mapping[str, Kind]) -> tuple[int, int]:
    """Where a trial's trajectory stands among all of the grid's, and how many there are.

    Those of one program stand side by side, and programs in a scattered order, so that every
    stretch has of all kinds.

    Parameters
    ----------
    grid : Grid
    trial : int
        Grid index.
    kinds : mapping of str to {"structural", "lifted", "fidelity"}
        Of each axis; empty where nothing is packed.
    """
    if not kinds:
        return _scattered(trial, grid.size), grid.size

    def number(kind: Kind) -> tuple[int, int]:
        """Which of all combinations of the axes of a kind it has, and how many there are."""
        number, of = 0, 1
        for name, values in grid.axes.items():
            if kinds[name] == kind:
                number = number * len(values) + grid.position(name, trial)
                of *= len(values)
        return number, of

    (program, programs), (member, members) = number("structural"), number("lifted")
    return _scattered(program, programs) * members + member, programs * members


def _scattered(i: int, n: int) -> int:
    """The i-th of n in an order where neighbours are far apart: a step of the golden ratio."""
    step = next(k for k in itertools.count(round(n * GOLDEN)) if math.gcd(k, n) == 1)
    return i * step % n


UNPACKED = Packing(reason="it was not looked at")


class Recorded(dict[str, Value]):
    """A configuration that notes which of its axes are read.

    Attributes
    ----------
    read : set of str
    """

    def __init__(self, configuration: Mapping[str, Value]) -> None:
        super().__init__(configuration)
        self.read: set[str] = set()


def _noted(name: str, reads_one: bool) -> Any:
    """The method of dict, which notes the axis it is asked for, or that it may tell all."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def noted(self: Recorded, *arguments: Any) -> Any:
        self.read.update(arguments[:1] if reads_one else dict.keys(self))
        return method(self, *arguments)

    return noted


for _name in ("__getitem__", "__contains__", "get", "pop", "setdefault"):
    setattr(Recorded, _name, _noted(_name, reads_one=True))
for _name in (
    "__iter__", "__reversed__", "__eq__", "__ne__", "__or__", "__ror__", "__repr__",
    "keys", "values", "items", "copy", "popitem",
):  # fmt: skip
    setattr(Recorded, _name, _noted(_name, reads_one=False))


@dataclass(frozen=True)
class Blueprint:
    """A model, reduced to what has to be known to compare it with others.

    Attributes
    ----------
    fingerprint : str
        Of all but the numbers at its places.
    text : str
        The same to read, weights left out: a line a value.
    parameters : int
        That it trains.
    numbers : dict of str to float
        At each place.
    draws : frozenset of str
        The places whose noise the model can draw.
    read : frozenset of str
        The axes `build_model` looked at.
    unproven : str
        Why it cannot be compared; else empty.
    """

    fingerprint: str
    text: str
    parameters: int
    numbers: dict[str, float]
    draws: frozenset[str]
    read: frozenset[str]
    unproven: str


def blueprint(
    build: Callable[[Configuration], keras.Model], configuration: Configuration
) -> Blueprint:
    """Build the configuration's model and take its measure.

    Parameters
    ----------
    build : callable
        Takes a configuration and returns its compiled model; what it raises is raised.
    configuration : dict
    """
    from tuning.training.lifting import count, describe, fingerprint, neutralize, places, unproven

    recorded = Recorded(configuration)
    model = build(recorded)
    why = unproven(model)
    if why:
        return Blueprint("", "", 0, {}, frozenset(), frozenset(recorded.read), why)
    found = places(model)
    numbers = {name: place.get() for name, place in found.items()}
    draws = frozenset(name for name, place in found.items() if place.draws())
    neutralize(model)
    text = describe(model)
    parameters = count(model.trainable_variables)
    read = frozenset(recorded.read)
    return Blueprint(fingerprint(model, text), text, parameters, numbers, draws, read, unproven="")


def discover(
    problem: Problem, build: Callable[[Configuration], keras.Model], base: Configuration
) -> Packing:
    """Find what each axis is, by building the model along it and comparing.

    One configuration is varied by one axis at a time: for a grid of n axes with k values each that
    is n·k models, not kⁿ. That two axes may act on each other is left to the check of every pack
    before it is trained.

    Parameters
    ----------
    problem : Problem
    build : callable
        As `blueprint` takes it.
    base : dict
        The configuration to vary: one whose model builds.

    Raises
    ------
    Exception
        What building its model raised.
    """
    grid = problem.grid
    first = blueprint(build, base)
    if first.unproven:
        return Packing(reason=first.unproven)
    if blueprint(build, base).fingerprint != first.fingerprint:
        return Packing(reason="build_model does not build the same model twice")
    axes = {}
    for name, values in grid.axes.items():
        if name == "batch_size":
            axes[name] = Axis("structural", "the size of a batch")
            continue
        variants = {}
        for value in values:
            if value == base[name]:
                variants[value] = first
                continue
            try:
                variants[value] = blueprint(build, {**base, name: value})
            except Exception:  # its own trials will say so
                continue
        sizes = {
            value: variant.parameters / first.parameters
            for value, variant in variants.items()
            if first.parameters and variant.parameters not in (0, first.parameters)
        }
        axes[name] = dataclasses.replace(_axis(name, first, variants), sizes=sizes)
    return Packing(axes, parameters=first.parameters)


def _axis(name: str, first: Blueprint, variants: Mapping[Value, Blueprint]) -> Axis:
    """What an axis is, from the models of its values."""
    for variant in variants.values():
        if variant.unproven:
            return Axis("structural", variant.unproven)
    different = [v for v in variants.values() if v.fingerprint != first.fingerprint]
    if different:
        return Axis("structural", _difference(first.text, different[0].text))
    if name == "epochs":
        moved = any(v.numbers != first.numbers for v in variants.values())
        if moved:
            return Axis("structural", "build_model uses it")
        return Axis("fidelity", "the model is the same; longer trainings pass through shorter")
    moved_places = sorted(
        place
        for place in first.numbers
        if len({variant.numbers[place] for variant in variants.values()}) > 1
    )
    chosen = max(
        variants, key=lambda value: len(variants[value].draws), default=None
    )  # of those that draw most, the first
    why = ", ".join(moved_places) or "it leaves the model as it is"
    return Axis("lifted", why, chosen)


def _difference(one: str, other: str) -> str:
    """The first value of the models' configurations that differs, as a person says it."""
    ones, others = (
        dict(line.split(" = ", 1) for line in text.splitlines()) for text in (one, other)
    )
    for path in dict.fromkeys([*ones, *others]):
        if ones.get(path) != others.get(path):
            if path not in ones or path not in others:
                return "layers come and go"
            return f"{_readable(path)}: {_short(ones[path])} or {_short(others[path])}"
    return "initial weights"


def _readable(path: str) -> str:
    """``[0].config.layers[1].config.units`` as ``layers[1].units``."""
    words = path.removeprefix("[0].").replace("build_config", "build").split(".")
    return ".".join(word for word in words if word not in ("config", "compile_config"))


def _short(value: str) -> str:
    text = str(json.loads(value))
    return text if len(text) <= 40 else f"{text[:37]}…"
