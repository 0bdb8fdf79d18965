"""The manifest of a run: what it searches, with what, and on which machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tuning.errors import TuningError, quoted
from tuning.problem.environment import differing
from tuning.problem.fingerprint import changed
from tuning.problem.problem import Problem, reference_fault
from tuning.samplers import Shard, samplers_of
from tuning.space.grid import Grid, listing
from tuning.trial import now

MANIFEST = "manifest.json"
FORMAT = 1
SHAPE: Any = {  # a type, one of some values, a list of one, or what some names have; ... others
    "format": int,
    "created_at": str,
    "problem": {
        "name": str,
        "source": str,
        "metric": str,
        "mode": ("max", "min"),
        "axes": {...: list},
        "fingerprint": {"code": str, "model": str, "data": str, ...: str},
        "references": [object],
    },
    "metrics": [str],
    "seed": int,
    "engine": ("auto", "fit"),
    "backend": str,
    "search": {"random": int, "sweep": str, "sweep_order": ("grid", "spaced"), ...: str},
    "versions": {...: str},
    "machine": {"platform": str, "processor": str, "cpus": int},
}
OPTIONAL: Any = {
    "environment": {...: str},
    "judge": str,
    "published": {"trials": int, "epochs": int},
    "packing": {...: ("structural", "lifted", "fidelity")},
}
LIBRARIES = ("tuning", "keras", "tensorflow", "tensorflow-cpu", "jax", "ray", "numpy")


def make_manifest(
    problem: Problem,
    fingerprint: Mapping[str, str],
    metrics: list[str],
    *,
    better: tuple[str, str] = ("", ""),
    seed: int,
    engine: str,
    backend: str,
    search: Mapping[str, Any],
) -> dict[str, Any]:
    """What a run is of: problem, seed, search, versions and machine.

    Parameters
    ----------
    fingerprint : mapping of str to str
        A digest each of the problem's ``code``, ``model`` and ``data``.
    metrics : list of str
        What the models report.
    better : tuple of str
        Whether more (``"max"``) or less of the metric that chooses is better, as Keras knows it,
        and what that metric is; the problem's file overrules it.
    search : mapping
        The settings of each strategy, as the command line has them.
    """
    return {
        "format": FORMAT,
        "created_at": now(),
        "problem": {
            "name": problem.name,
            "source": problem.source,
            "metric": problem.metric,
            "mode": problem.mode or better[0] or None,
            "axes": {name: list(values) for name, values in problem.grid.axes.items()},
            "fingerprint": dict(fingerprint),
            "references": list(problem.references),
        },
        "judge": "" if problem.mode else better[1],
        "metrics": metrics,
        "seed": seed,
        "engine": engine,
        "backend": backend,
        "search": dict(search),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {
            "platform": platform.platform(),
            "processor": processor(),
            "cpus": os.cpu_count(),
        },
    }


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of a run directory.

    Raises
    ------
    TuningError
        If the directory is not a run, or its manifest is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise TuningError(f"there is no run at {path}")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        known = manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TuningError(f"{path} is not a run: it has no readable {MANIFEST}") from error
    if not known:
        raise TuningError(
            f"{path} is a run of another version of tuning: its format is "
            f"{quoted(manifest['format'])}, not {FORMAT}"
        )
    if fault := next(_faults(manifest, SHAPE), "") or next(_inner_faults(manifest), ""):
        raise TuningError(f"{path / MANIFEST} is damaged: {fault}")
    return dict(manifest)


def _faults(value: Any, shape: Any, where: str = "it") -> Iterator[str]:
    """What of a value does not have its shape, each in a few words."""
    wrong = f"{where} is {quoted(value)}"
    if isinstance(shape, type):
        if not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
            yield wrong
    elif isinstance(shape, tuple):
        if value not in shape:
            yield wrong
    elif not isinstance(value, type(shape)):
        yield wrong
    elif isinstance(value, list):
        for one in value:
            yield from _faults(one, shape[0], where)
    else:
        yield from (f"{where} lacks {name!r}" for name in shape if name not in (*value, ...))
        for name, inner in value.items():
            yield from _faults(inner, shape.get(name, shape.get(..., object)), f"its {name}")


def _inner_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What of a manifest that has its shape contradicts the rest of it."""
    problem, metrics, search = manifest["problem"], manifest["metrics"], manifest["search"]
    try:
        samplers_of(search, manifest_grid(manifest), manifest["seed"])
        if "shard" in search:
            Shard.parse(search["shard"])
    except TuningError as error:
        yield str(error)
    if problem["metric"].removeprefix("val_") not in metrics or "loss" not in metrics:
        yield f"its metrics are {', '.join(map(repr, metrics))}"
    if len(set(metrics)) < len(metrics):
        yield "its metrics repeat"
    for reference in problem["references"]:
        if fault := reference_fault(reference):
            yield f"its references: {fault}"
    for name in OPTIONAL:
        if name in manifest:
            yield from _faults(manifest[name], OPTIONAL[name], f"its {name}")
    if manifest.get("packing") and set(manifest["packing"]) != set(problem["axes"]):
        yield "its packing is not of its axes"


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The manifest as its file has it."""
    return json.dumps(manifest, indent=2) + "\n"


def chosen_by(manifest: Mapping[str, Any]) -> str:
    """What chooses the best trial, which way, and from where that is known."""
    problem, judge = manifest["problem"], manifest.get("judge")
    which = "highest" if problem["mode"] == "max" else "lowest"
    known = {None: "", "": " (as the problem's file says)"}.get(judge, f" ({judge})")
    return f"the {which} {problem['metric']}{known}"


def manifest_grid(manifest: Mapping[str, Any]) -> Grid:
    """The grid a run searches."""
    return Grid(manifest["problem"]["axes"])


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """In what a run differs from what is to be trained in it, each as a phrase; none if nothing.

    Library versions and the machine may differ, and so may the search.
    """
    found = []
    for name in ("seed", "engine", "backend", "metrics"):
        if old[name] != new[name]:
            found.append(f"its {name} is {old[name]}, not {new[name]}")
    was, now_is = old["problem"], new["problem"]
    if was["name"] != now_is["name"]:
        found.append(f"its problem is {was['name']}, not {now_is['name']}")
    for name in ("metric", "mode"):
        if now_is[name] not in (was[name], None):  # of the mode, until models were built
            found.append(f"its {name} is {was[name]}, not {now_is[name]}")
    found += _differing_axes(was["axes"], now_is["axes"])
    if "environment" in old and "environment" in new:
        found += differing(old["environment"], new["environment"])
    digests = was["fingerprint"], now_is["fingerprint"]
    if not found:  # what was named above changes the code as well
        found += changed(*digests)
        for name in ("model", "data"):
            if digests[0].get(name) != digests[1].get(name):
                found.append(f"the problem's {name} has changed")
    return found


def _differing_axes(old: Mapping[str, list[Any]], new: Mapping[str, list[Any]]) -> list[str]:
    if Grid(old) == Grid(new):
        return []
    found = []
    for axis in dict.fromkeys([*old, *new]):
        if axis not in old or axis not in new:
            found.append(f"axis {axis!r} is only in {'the run' if axis in old else 'the problem'}")
        elif Grid({axis: old[axis]}) != Grid({axis: new[axis]}):
            has, wanted = listing(old[axis]), listing(new[axis])
            which = f"{has}, not {wanted}" if has != wanted else "other values"
            found.append(f"its axis {axis!r} has {which}")
    return found or ["its axes stand in another order"]


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
def whole_or_not_at_all(path: Path) -> Iterator[Path]:
    """A directory to fill, which takes the name `path` at the end, and is gone after an error."""
    path = path.absolute()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        yield draft
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    draft = path.with_name(f"{path.name}.draft")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
