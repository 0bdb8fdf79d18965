"""What a search is asked to do, made definite."""

from __future__ import annotations

import datetime
import importlib.util
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.errors import TuningError, listed
from tuning.execution.limits import Limits, bytes_of
from tuning.execution.quiet import quiet
from tuning.problem.file import load_problem
from tuning.problem.problem import Problem
from tuning.runs.manifest import MANIFEST, differences, make_manifest, read_manifest
from tuning.runs.run import trial_columns
from tuning.samplers import Sampler, Shard, parse_sweep, samplers_of
from tuning.space.grid import Grid

DEFAULT_PROBLEM = "mnist_2_vs_7"
DEFAULT_RANDOM = 20
SEEDS = 2**32  # which Keras and NumPy take
DEFAULT_SWEEP = {"auto": 1440, "fit": 48}  # three minutes of the built-in problem on two cores


@dataclass(frozen=True)
class Request:
    """What a search was asked to do; None stands for the run's own setting, or the default.

    Attributes
    ----------
    problem : str, optional
        A built-in problem's name or a Python file.
    random : int, optional
        Trials of random search; 0 for none.
    sweep, sweep_order : str, optional
        As `tuning.samplers.parse_sweep` takes them.
    shard : str, optional
        As `tuning.samplers.Shard.parse` takes it: the part of the search to train.
    seed : int, optional
    workers : int, optional
        Trials that train at once; one a CPU unless told.
    engine : {"auto", "fit"}, optional
        Whether configurations that share a program train together.
    backend : str, optional
        What Keras runs on.
    cache : bool
        Whether to keep compiled programs in the user's cache directory.
    out : Path, optional
        The run directory, new or to be gone on with.
    address : str, optional
        A Ray cluster to join.
    trial_timeout : float, optional
        Seconds that a trial may take.
    trial_memory : str, optional
        What its worker may take, as `tuning.execution.limits.bytes_of` reads it.
    verbose : bool
        Let libraries and workers speak.
    """

    problem: str | None = None
    random: int | None = None
    sweep: str | None = None
    sweep_order: str | None = None
    shard: str | None = None
    seed: int | None = None
    workers: int | None = None
    engine: str | None = None
    cache: bool = True
    backend: str | None = None
    out: Path | None = None
    address: str | None = None
    trial_timeout: float | None = None
    trial_memory: str | None = None
    verbose: bool = False


@dataclass(frozen=True)
class Settings:
    """A request made definite.

    Attributes
    ----------
    search, kept : dict
        What is searched now; and what the manifest is to say, which is never less than it said.
    manifest : dict, optional
        Of the run that is gone on with; None for a new one.
    """

    problem: Problem
    samplers: dict[str, Sampler]
    search: dict[str, Any]
    kept: dict[str, Any]
    seed: int
    engine: str
    backend: str
    cache: str | None
    limits: Limits
    out: Path
    manifest: dict[str, Any] | None


def settle(request: Request) -> Settings:
    """Fill in what the request leaves open, and check what can be checked without training.

    Has Keras run on the backend in this process, as the problem's file may import it.

    Raises
    ------
    TuningError
        For anything that cannot be done as asked.
    """
    if request.workers is not None and request.workers < 1:
        raise TuningError(f"--workers takes a number from 1, not {request.workers}")
    if request.seed is not None and not 0 <= request.seed < SEEDS:
        raise TuningError(f"--seed takes a number from 0 to {SEEDS - 1:,}, not {request.seed}")
    limits = _limits(request)
    shard = None if request.shard is None else Shard.parse(request.shard)
    given = _run_directory(request.out, shard) if request.out else None
    manifest = _existing(given)
    old = manifest or {"problem": {}, "search": {}}
    engine, backend = _engine_and_backend(request, old)
    _select_backend(backend)
    with quiet(request.verbose):
        source = old["problem"].get("source", DEFAULT_PROBLEM)
        problem = load_problem(source if request.problem is None else request.problem)
    trial_columns(problem.grid.axes, ["loss"])
    seed = old.get("seed", 0) if request.seed is None else request.seed
    if manifest:  # the code, data and models are compared once they are there
        fingerprint, metrics = manifest["problem"]["fingerprint"], manifest["metrics"]
        asked_for = make_manifest(
            problem, fingerprint, metrics,
            seed=seed, engine=engine, backend=backend, search=manifest["search"],
        )  # fmt: skip
        refuse_another(given, manifest, asked_for)
    search = {
        "random": min(DEFAULT_RANDOM, problem.grid.size),
        "sweep": str(min(DEFAULT_SWEEP[engine], problem.grid.size)),
        "sweep_order": "grid",
        **old["search"],
    }
    asked = {name: getattr(request, name) for name in ("random", "sweep", "sweep_order")}
    search |= {name: value for name, value in asked.items() if value is not None}
    if shard:
        search["shard"] = str(shard)
    samplers = samplers_of(search, problem.grid, seed)
    if not samplers:
        raise TuningError("nothing to search: both --random and --sweep are 0")
    if manifest:
        _check_extends(manifest["search"], search)
    kept = _larger(manifest["search"], search, problem.grid) if manifest else search
    out = given or _run_directory(_new_directory(problem.name), shard)
    cache = str(cache_directory()) if request.cache and backend == "jax" else None
    return Settings(
        problem, samplers, search, kept, seed, engine, backend, cache, limits, out, manifest
    )


def _existing(out: Path | None) -> dict[str, Any] | None:
    """The manifest of the run to go on with; None if the directory is to be made."""
    if out is None or not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / MANIFEST).exists():
        raise TuningError(
            f"{out} is not a run: it exists, but has no {MANIFEST} (name a new directory, or a run)"
        )
    return read_manifest(out)


def _run_directory(out: Path, shard: Shard | None) -> Path:
    """The run's own directory: of a shard, one in the directory that the shards share."""
    if shard is None:
        return out
    if (out / MANIFEST).exists():
        raise TuningError(f"{out} is a run: a shard makes its own in the directory of --out")
    return out / shard.folder


def _limits(request: Request) -> Limits:
    seconds, memory = request.trial_timeout, request.trial_memory
    if seconds is not None and not 0 < seconds < math.inf:
        raise TuningError(f"--trial-timeout takes a number of seconds above 0, not {seconds:g}")
    return Limits(seconds, None if memory is None else bytes_of(memory))


def _engine_and_backend(request: Request, old: Mapping[str, Any]) -> tuple[str, str]:
    """What trains: packs on JAX, unless another engine or backend is asked for."""
    backend = request.backend or old.get("backend")
    engine = request.engine or old.get("engine", "auto")
    if engine == "auto" and backend not in (None, "jax"):
        engine = "fit"
    return engine, backend or ("jax" if engine == "auto" else "tensorflow")


def cache_directory() -> Path:
    """Where compiled programs are kept for later runs, by the platform's custom."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tuning" / "xla"


def _select_backend(backend: str) -> None:
    """Have Keras, where the problem's file imports it, run on the backend, quietly."""
    if importlib.util.find_spec(backend) is None:
        raise TuningError(
            f"--backend {backend} needs the package {backend}, which is not installed"
        )
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _check_extends(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Only a sweep that begins with the run's own may go on in it."""
    if old == new or old["sweep"] == "0" or new["sweep"] == "0":
        return
    starts, spaced = [], []
    for search in (old, new):
        starts.append(search["sweep"].partition(":")[0] if ":" in search["sweep"] else "0")
        spaced.append(search["sweep"] if search["sweep_order"] == "spaced" else None)
    if int(starts[0]) != int(starts[1]) or spaced[0] != spaced[1]:
        raise TuningError(
            f"the run's sweep is {old['sweep']} in {old['sweep_order']} order, and "
            f"{new['sweep']} in {new['sweep_order']} order does not begin with it: name another "
            "--out"
        )


def _larger(old: Mapping[str, Any], new: Mapping[str, Any], grid: Grid) -> dict[str, Any]:
    """The new search, but for what of the old is more: its rows may be counted already."""
    sweeps = [parse_sweep(search["sweep"], grid, search["sweep_order"]) for search in (old, new)]
    n_old, n_new = (sweep.n_trials if sweep else 0 for sweep in sweeps)
    larger = old if n_old > n_new else new
    return {
        **new,
        "random": max(old["random"], new["random"]),
        **{name: larger[name] for name in ("sweep", "sweep_order")},
    }


def _new_directory(name: str) -> Path:
    """results/<problem>-<time>, with a number behind it if that is taken."""
    stem = f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    out, n = Path("results") / stem, 1
    while out.exists():
        n += 1
        out = Path("results") / f"{stem}-{n}"
    return out


def refuse_another(
    out: Path | None, manifest: Mapping[str, Any], asked_for: Mapping[str, Any]
) -> None:
    if found := differences(manifest, asked_for):
        raise TuningError(
            f"{out} is another run: {listed(found)} (name another --out for a new one)"
        )
