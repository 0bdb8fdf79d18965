"""The manifest of a run: its problem, strategies, versions and machine."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import os
import platform
import secrets
import shutil
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tuning.budget import Budget
from tuning.errors import TuningError, quoted
from tuning.problem.data import SPLITS
from tuning.problem.environment import differing
from tuning.problem.fingerprint import changed
from tuning.problem.problem import Mode, Problem, axes_fault, reference_fault
from tuning.problem.weighing import WEIGHINGS, plain
from tuning.samplers import Shard, samplers_of, strategies
from tuning.samplers.repeated import Copies
from tuning.space.given import as_grid
from tuning.space.grid import Grid
from tuning.space.labels import from_json, to_json
from tuning.space.parameters import Float, Int, Parameter
from tuning.space.space import Space, described
from tuning.trial import SEEDS, now

MANIFEST = "manifest.json"
FORMAT = 3
FORMATS = (1, 2, FORMAT)
LIBRARIES = ("tuning", "keras", "tensorflow", "tensorflow-cpu", "jax", "ray", "numpy")
REPEATS = 5  # of each finalist
FILE = "the problem's file"  # the judge if the file says which way is better
DIGESTS = ("code", "model", "data")

Split: TypeAlias = Literal["train", "validation", "test"]
Strategies: TypeAlias = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ProblemFacts:
    """The problem that a run searches.

    Attributes
    ----------
    name, source : str
        What it is called, and what `load_problem` finds it by.
    metric : str
        The validation metric that chooses.
    mode : {"max", "min"}
        Which way is better.
    axes : dict of str to list
        The grid's, with labels for values; of a space that is no grid, the values of each
        hyperparameter, or the ends of its range.
    fingerprint : dict of str to str
        A digest each of the problem's ``code``, ``model`` and ``data``; of parts of the code, by
        their names; and of the traced training ``step``, where it was traced.
    references : list of dict
        Results published elsewhere.
    space : dict
        Of a space that is no grid, what `tuning.Space.describe` says; else empty.
    values : dict of str to dict
        Of each hyperparameter, by their labels, the values that are not their own label, as
        `tuning.space.labels.to_json` has them; of one that JSON cannot carry, ``{"lost": TYPE}``.
    weighing : dict
        The problem's ``class_weight`` or ``sample_weight``, if it has one, in the same form.
    """

    name: str
    source: str
    metric: str
    mode: Mode
    axes: dict[str, list[Any]]
    fingerprint: dict[str, str]
    references: list[Any]
    space: dict[str, Any] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    weighing: dict[str, Any] = field(default_factory=dict)

    @property
    def published(self) -> list[Any]:
        """The references that are results; the others say which strategy beats which how often."""
        return [each for each in self.references if "beats" not in each]


@dataclass(frozen=True)
class Machine:
    """The machine that a run was begun on."""

    platform: str
    processor: str
    cpus: int


@dataclass(frozen=True)
class Published:
    """The extent of a published run.

    Attributes
    ----------
    trials, epochs : int
        Rows of its two tables.
    started_at, finished_at : str
        UTC, ISO 8601.
    cpu_seconds : float
        CPU time of all its trials, each counted once.
    """

    trials: int
    epochs: int
    started_at: str
    finished_at: str
    cpu_seconds: float


@dataclass(frozen=True)
class Finalists:
    """The best configurations of a search, which are trained again with other seeds.

    Attributes
    ----------
    n : int
        How many configurations; 0 for none.
    repeats : int
        How many seeds.
    """

    n: int = 0
    repeats: int = REPEATS


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a run: its problem, seed, strategies, versions and machine.

    Attributes
    ----------
    format : int
        The version of the file it was read from.
    created_at : str
        UTC, ISO 8601.
    problem : ProblemFacts
    metrics : list of str
        What the models report.
    seed : int
    engine : {"auto", "fit"}
    backend : str
        What Keras runs on.
    strategies : dict of str to dict
        The settings of each strategy, by its name.
    shard : str
        ``K/N`` if the run is one of the parts of a search; else empty.
    keep : int
        How many of the best models each strategy keeps.
    splits : list of {"train", "validation", "test"}
        Of the data. Without ``test`` the tables have no ``test_`` columns.
    judge : str
        What says which way of the metric is better: `FILE`, or a class of Keras by name; empty in
        old runs, which did not note it.
    versions : dict of str to str
        Of Python and the libraries.
    machine : Machine
    environment : dict of str to str
        What changes numbers: Keras' settings, and variables that are set. Empty if not known.
    packing : dict of str to {"structural", "lifted", "fidelity"}
        The kind of each axis; empty if not known.
    published : Published, optional
        Of a run made small by `tuning.publish`.
    budget : dict
        The limits of the search, by name.
    warm : str
        The path of the earlier run that strategies heard of first; empty without.
    folds : int
        That rows are cut into for cross-validation; 0 where the data has splits of its own.
    repeats : int
        Seeds that each trial is trained with, the run's and those behind it.
    finalists : Finalists
    """

    format: int = FORMAT
    created_at: str
    problem: ProblemFacts
    metrics: list[str]
    seed: int
    engine: Literal["auto", "fit"]
    backend: str
    strategies: Strategies
    shard: str = ""
    keep: int = 1
    splits: list[Split] = field(default_factory=lambda: list(typing.get_args(Split)))
    judge: str = ""
    versions: dict[str, str]
    machine: Machine
    environment: dict[str, str] = field(default_factory=dict)
    packing: dict[str, Literal["structural", "lifted", "fidelity"]] = field(default_factory=dict)
    published: Published | None = None
    budget: dict[str, Any] = field(default_factory=dict)
    warm: str = ""
    folds: int = 0
    repeats: int = 1
    finalists: Finalists = Finalists()

    @cached_property
    def space(self) -> Space:
        """The space that the run searches, with the values that JSON could carry."""
        problem = self.problem
        space = described(problem.space) if problem.space else Grid(problem.axes)
        return space.with_values(
            {
                name: {label: from_json(each) for label, each in own.items() if not is_lost(each)}
                for name, own in problem.values.items()
            }
        )

    @property
    def grid(self) -> Grid:
        """The space, which has to be a grid.

        Raises
        ------
        TuningError
            If it is none.
        """
        return as_grid(self.space)

    def lost(self, configuration: Mapping[str, Any]) -> dict[str, str]:
        """The labels of a configuration whose values the manifest does not have, by name."""
        return {
            name: label
            for name, label in configuration.items()
            if isinstance(label, str) and is_lost(self.problem.values.get(name, {}).get(label))
        }

    @property
    def copies(self) -> Copies:
        """The trainings that each trial stands for."""
        return Copies(self.seed, self.folds, self.repeats)

    @property
    def has_test(self) -> bool:
        """Whether trials have scores on test data."""
        return "test" in self.splits

    def text(self) -> str:
        """The manifest's file, in the present format."""
        present = dataclasses.replace(self, format=FORMAT)
        return json.dumps(dataclasses.asdict(present), indent=2) + "\n"


def make_manifest(
    problem: Problem,
    fingerprint: Mapping[str, str],
    metrics: Iterable[str],
    *,
    better: tuple[str, str],
    seed: int,
    engine: str,
    backend: str,
    strategies: Mapping[str, Mapping[str, Any]],
    splits: Iterable[str] = SPLITS,
    **known: Any,
) -> Manifest:
    """Make the manifest of a new run on this machine.

    Parameters
    ----------
    fingerprint : mapping of str to str
        A digest each of the problem's ``code``, ``model`` and ``data``.
    metrics : iterable of str
        What the models report.
    better : tuple of str
        Whether more (``"max"``) or less (``"min"``) of the metric that chooses is better, as Keras
        knows it, and what that metric is; the problem's file overrules it.
    strategies : mapping
        The settings of each strategy, by its name.
    splits : iterable of str
        Of the data.
    known : Any
        Further fields of `Manifest`.
    """
    mode, judge = (problem.mode, FILE) if problem.mode else better
    facts: dict[str, Any] = {
        "mode": mode,
        "axes": {name: _listed(each) for name, each in problem.space.parameters.items()},
        "space": {} if isinstance(problem.space, Grid) else problem.space.describe(),
        "values": {
            name: {str(label): _carried(value) for label, value in own.items()}
            for name, own in problem.space.named_values.items()
        },
        "fingerprint": dict(fingerprint),
        "references": list(problem.references),
        "weighing": {
            name: _carried(plain(value))
            for name in WEIGHINGS
            if (value := getattr(problem, name)) is not None
        },
    }
    fields: dict[str, Any] = {
        "metrics": list(metrics),
        "engine": engine,
        "strategies": {name: dict(settings) for name, settings in strategies.items()},
        "splits": list(splits),
    }
    return Manifest(
        created_at=now(),
        problem=ProblemFacts(problem.name, problem.source, problem.metric, **facts),
        seed=seed,
        backend=backend,
        judge=judge,
        versions={"python": platform.python_version(), **_versions()},
        machine=Machine(platform.platform(), processor(), os.cpu_count() or 1),
        **fields,
        **known,
    )


def _listed(parameter: Parameter) -> list[Any]:
    """All values of a parameter that has a list of them, or the ends of its range."""
    if isinstance(parameter, Float | Int):
        return [parameter.low, parameter.high]
    return list(parameter.values or ())


def _carried(value: Any) -> Any:
    try:
        return to_json(value)
    except ValueError:
        return {"lost": type(value).__name__}


def is_lost(content: Any) -> bool:
    """Whether JSON could not carry a value, of which a manifest has the type alone."""
    return isinstance(content, dict) and "lost" in content


def read_manifest(path: str | Path) -> Manifest:
    """Read the manifest of a run directory; one of an older format is converted.

    Raises
    ------
    TuningError
        If the directory is not a run, or its manifest is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise TuningError(f"there is no run at {path}")
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        known = content["format"] in FORMATS
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TuningError(f"{path} is not a run: it has no readable {MANIFEST}") from error
    if not known:
        raise TuningError(
            f"{path} is a run of another version of tuning: its format is "
            f"{quoted(content['format'])}, not {' or '.join(map(str, FORMATS))}"
        )
    if content["format"] == 1:
        if fault := next(_faults(content, _Format1), ""):
            raise TuningError(f"{path / MANIFEST} is damaged: {fault}")
        content = _converted(content)
    if fault := next(_faults(content, Manifest), ""):
        raise TuningError(f"{path / MANIFEST} is damaged: {fault}")
    manifest: Manifest = _built(content, Manifest)
    if fault := next(_contradictions(manifest), ""):
        raise TuningError(f"{path / MANIFEST} is damaged: {fault}")
    return manifest


@dataclass(frozen=True)
class _Search:
    """The strategies' settings, as format 1 had them."""

    random: int
    sweep: str
    sweep_order: Literal["grid", "spaced"]
    shard: str = ""


@dataclass(frozen=True)
class _Format1:
    """The part of a manifest that was otherwise in format 1."""

    search: _Search


def _converted(old: dict[str, Any]) -> dict[str, Any]:
    """The content of a manifest of format 1, as format 2 has it."""
    search: _Search = _built(old, _Format1).search
    strategies: Strategies = {}
    if search.random:
        strategies["random"] = {"trials": search.random}
    if search.sweep != "0":
        strategies["sweep"] = {"points": search.sweep, "order": search.sweep_order}
    judge = {"judge": old["judge"] or FILE} if "judge" in old else {}
    return {**old, "strategies": strategies, "shard": search.shard, **judge}


def _faults(value: Any, kind: Any, where: str = "it") -> Iterator[str]:
    """The faults of a JSON value that is not of its type, each in a few words.

    The types are those of `Manifest`, so that its fields are said once. (Pydantic would be a new
    dependency for this one file, and its errors are not our sentences.)
    """
    inner = typing.get_args(kind)
    match typing.get_origin(kind) or kind:
        case typing.Any:
            return
        case typing.Literal:
            right = value in inner
        case types.UnionType | typing.Union:
            right = any(not list(_faults(value, each)) for each in inner)
        case builtin if builtin in (list, dict):
            right = isinstance(value, builtin)
            for name, each in _items(value) if right else ():
                yield from _faults(each, inner[-1], where if name is None else f"its {name}")
        case shape if dataclasses.is_dataclass(shape):
            right = isinstance(value, dict)
            hints = typing.get_type_hints(shape)
            for one in dataclasses.fields(shape) if right else ():
                if one.name in value:
                    yield from _faults(value[one.name], hints[one.name], f"its {one.name}")
                elif _is_needed(one):
                    yield f"{where} lacks {one.name!r}"
        case scalar:
            numbers = (int, float) if scalar is float else scalar
            right = isinstance(value, numbers) and not isinstance(value, bool)
    if not right:
        yield f"{where} is {quoted(value)}"


def _items(value: Any) -> Iterator[tuple[str | None, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    else:
        yield from ((None, each) for each in value)


def _is_needed(one: dataclasses.Field[Any]) -> bool:
    return one.default is one.default_factory is dataclasses.MISSING


def _built(content: Mapping[str, Any], shape: Any) -> Any:
    """The dataclass of a mapping without faults, and those within it."""
    hints = typing.get_type_hints(shape)
    found = {}
    for one in dataclasses.fields(shape):
        if one.name in content:
            value, kind = content[one.name], hints[one.name]
            inner = [each for each in (kind, *typing.get_args(kind)) if _is_shape(each)]
            found[one.name] = _built(value, inner[0]) if inner and value is not None else value
    return shape(**found)


def _is_shape(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _contradictions(manifest: Manifest) -> Iterator[str]:
    """The contradictions within a manifest, each in a few words."""
    problem, metrics = manifest.problem, manifest.metrics
    known = strategies()  # another one may be registered where the run was made
    own = {name: each for name, each in manifest.strategies.items() if name in known}
    try:
        yield from filter(None, [axes_fault(manifest.space), _finalists_fault(manifest.finalists)])
        if list(manifest.space.parameters) != list(problem.axes):
            yield "its space is not of its axes"
        samplers_of(own, manifest.space, manifest.seed)
        if manifest.shard:
            Shard.parse(manifest.shard)
    except TuningError as error:
        yield str(error)
    yield from _budget_faults(manifest)
    for name, number, least, end in (
        ("seed", manifest.seed, 0, SEEDS),
        ("keep", manifest.keep, 0, math.inf),
        ("folds", manifest.folds, 0, math.inf),
        ("repeats", manifest.repeats, 1, SEEDS),
    ):
        if not least <= number < end:
            yield f"its {name} is {number}"
    if problem.metric.removeprefix("val_") not in metrics or "loss" not in metrics:
        yield f"its metrics are {', '.join(map(repr, metrics))}"
    for name, names in (("metrics", metrics), ("splits", manifest.splits)):
        if len(set(names)) < len(names):
            yield f"its {name} repeat"
    for name, needed, there in (
        ("splits", ("train", "validation"), manifest.splits),
        ("fingerprint", DIGESTS, problem.fingerprint),
    ):
        yield from (f"{each!r} is not in its {name}" for each in needed if each not in there)
    for reference in problem.references:
        if fault := reference_fault(reference):
            yield f"its references: {fault}"
    if manifest.packing and set(manifest.packing) != set(problem.axes):
        yield "its packing is not of its axes"


def _finalists_fault(finalists: Finalists) -> str:
    """What is wrong with the numbers of finalists and seeds; empty if nothing is."""
    right = finalists.n >= 0 and 1 <= finalists.repeats < SEEDS
    return "" if right else f"its finalists are {finalists.n} with {finalists.repeats} seeds each"


def _budget_faults(manifest: Manifest) -> Iterator[str]:
    """What is wrong with a manifest's budget."""
    try:
        budget = Budget.from_settings(manifest.budget)
    except TuningError as error:
        yield str(error)
    except TypeError:
        yield f"its budget is {quoted(manifest.budget)}"
    else:
        if budget.as_long_as and budget.as_long_as not in manifest.strategies:
            yield f"its budget is as long as {budget.as_long_as!r}, which it does not search by"


def chosen_by(manifest: Manifest) -> str:
    """The rule that chooses the best trial, and from where its direction is known."""
    which = "highest" if manifest.problem.mode == "max" else "lowest"
    judge = {"": "", FILE: f" (as {FILE} says)"}.get(manifest.judge, f" ({manifest.judge})")
    copies = manifest.copies
    mean = f", the mean of {copies.size} trainings {copies.describe()}" if copies.size > 1 else ""
    return f"the {which} {manifest.problem.metric}{judge}{mean}"


def differences(old: Manifest, new: Manifest) -> list[str]:
    """The differences of a run from what is to be trained in it, each as a phrase.

    Library versions and the machine may differ, and so may the strategies.
    """
    found = []
    was, is_now = old.problem, new.problem
    for one, other, names in (
        (old, new, ("seed", "engine", "backend", "metrics", "folds", "repeats")),
        (was, is_now, ("name", "metric", "mode")),
    ):
        for name in names:
            values = getattr(one, name), getattr(other, name)
            if values[0] != values[1]:
                what = "problem" if name == "name" else name
                found.append(f"its {what} is {values[0]}, not {values[1]}")
    found += _differing_axes(old.space, new.space)
    found = found or _differing_values(was.values, is_now.values)
    if old.environment and new.environment:
        found += differing(old.environment, new.environment)
    if not found:  # what was named above changes the code as well
        found += changed(was.fingerprint, is_now.fingerprint)
        for name in ("model", "data"):
            if was.fingerprint.get(name) != is_now.fingerprint.get(name):
                found.append(f"the problem's {name} has changed")
        steps = was.fingerprint.get("step"), is_now.fingerprint.get("step")
        if not found and None not in steps and steps[0] != steps[1] and _same_tracer(old, new):
            found.append("what its models do in a training step has changed")
    return found


def _same_tracer(old: Manifest, new: Manifest) -> bool:
    """Whether both have the libraries by which a step is traced in the same versions."""
    return all(old.versions.get(name) == new.versions.get(name) for name in ("keras", "jax"))


def _differing_axes(old: Space, new: Space) -> list[str]:
    if old == new:
        return []
    was, is_now = old.describe(), new.describe()
    found = []
    for axis in dict.fromkeys([*was, *is_now]):
        if axis not in was or axis not in is_now:
            found.append(f"axis {axis!r} is only in {'the run' if axis in was else 'the problem'}")
        elif json.dumps(was[axis]) != json.dumps(is_now[axis]):
            has, wanted = (each.parameters[axis].range_text() for each in (old, new))
            which = f"{has}, not {wanted}" if has != wanted else "other values or conditions"
            found.append(f"its axis {axis!r} has {which}")
    if not found and list(was) == list(is_now):
        return ["it searches a grid, not a space" if isinstance(old, Grid) else "it is no grid"]
    return found or ["its axes stand in another order"]


def _differing_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The values with the same label that differ as far as JSON has them."""
    return [
        f"its axis {axis!r} has another value {label}"
        for axis in old
        for label, value in old[axis].items()
        if json.dumps(value) != json.dumps(new.get(axis, {}).get(label))
    ]


def _versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return versions


def processor() -> str:
    """This machine's processor by name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A draft of a directory, which becomes `path` at the end, and vanishes after an error."""
    path = path.absolute()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        yield draft
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file that is never seen half written."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is never seen half written."""
    draft = path.with_name(f"{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> str:
    """A sentence that says why a file could not be written."""
    full = error.errno == errno.ENOSPC
    return f"cannot write {path}: {'the disk is full' if full else error.strerror or error}"
