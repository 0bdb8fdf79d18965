"""The manifest of a run: what it searches, with what, and on which machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tuning.errors import TuningError
from tuning.grid import Grid
from tuning.problem import Problem
from tuning.training.outcome import now

MANIFEST = "manifest.json"
FORMAT = 1
KEYS = {
    "created_at", "problem", "metrics", "seed", "engine", "backend", "search", "versions",
    "machine",
}  # fmt: skip
OF_PROBLEM = {"name", "source", "metric", "mode", "axes", "fingerprint", "references"}
LIBRARIES = ("tuning", "keras", "tensorflow", "tensorflow-cpu", "jax", "ray", "numpy")


def make_manifest(
    problem: Problem,
    fingerprint: Mapping[str, str],
    metrics: list[str],
    *,
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
    search : mapping
        The settings of each strategy, as the command line has them.
    """
    return {
        "format": FORMAT,
        "created_at": now(),
        "problem": {
            "name": problem.name,
            "source": problem.file.source,
            "metric": problem.metric,
            "mode": problem.mode,
            "axes": {name: list(values) for name, values in problem.grid.axes.items()},
            "fingerprint": dict(fingerprint),
            "references": list(problem.references),
        },
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
        If the directory is not a run.
    """
    path = Path(path)
    if not path.exists():
        raise TuningError(f"there is no run at {path}")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        manifest_grid(manifest)
        known = manifest["format"] == FORMAT
        complete = set(manifest) >= KEYS and set(manifest["problem"]) >= OF_PROBLEM
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TuningError(f"{path} is not a run: it has no readable {MANIFEST}") from error
    if not known or not complete:
        raise TuningError(f"{path} is a run of another version of tuning")
    return dict(manifest)


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The manifest as its file has it."""
    return json.dumps(manifest, indent=2) + "\n"


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
        if was[name] != now_is[name]:
            found.append(f"its {name} is {was[name]}, not {now_is[name]}")
    found += _differing_axes(was["axes"], now_is["axes"])
    digests = was["fingerprint"], now_is["fingerprint"]
    if not found:  # what was named above changes the code as well
        for name in ("code", "model", "data"):
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
            found.append(f"its axis {axis!r} has {old[axis]}, not {new[axis]}")
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


def write_text(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
