"""A whole search: from what the command line asks for to the comparison in the run directory."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.util
import math
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tuning.cluster import Cluster, ray_cluster
from tuning.driver import Driver, untrainable
from tuning.errors import RunStopped, TuningError
from tuning.manifest import MANIFEST, differences, make_manifest, read_manifest
from tuning.packing import Packing
from tuning.problem import (
    Data,
    Problem,
    data_fingerprint,
    load_data,
    load_problem,
)
from tuning.progress import TerminalProgress, duration
from tuning.quiet import quiet
from tuning.results import Run, shown, trial_columns
from tuning.samplers import Sampler, Shard, ShardSampler, samplers_of
from tuning.signals import exit_code, sigterm_raises
from tuning.table import load_results
from tuning.training import worker
from tuning.training.limits import Limits, bytes_of
from tuning.training.worker import Probe

DEFAULT_PROBLEM = "mnist_2_vs_7"
DEFAULT_RANDOM = 20
DEFAULT_SWEEP = {"auto": 1008, "fit": 48}  # three minutes of the built-in problem on two cores


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
        What its worker may take, as `tuning.training.limits.bytes_of` reads it.
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
    """A request made definite."""

    problem: Problem
    samplers: dict[str, Sampler]
    search: dict[str, Any]
    seed: int
    engine: str
    backend: str
    cache: str | None
    limits: Limits
    out: Path
    manifest: dict[str, Any] | None
    """Of the run that is gone on with; None for a new one."""


def settle(request: Request) -> Settings:
    """Fill in what the request leaves open, and check what can be checked without training.

    Raises
    ------
    TuningError
        For anything that cannot be done as asked.
    """
    if request.workers is not None and request.workers < 1:
        raise TuningError(f"--workers takes a number from 1, not {request.workers}")
    limits = _limits(request)
    shard = Shard.parse(request.shard) if request.shard else None
    given = _run_directory(request.out, shard) if request.out else None
    manifest = _existing(given)
    old = manifest or {"problem": {}, "search": {}}
    engine, backend = _engine_and_backend(request, old)
    _select_backend(backend)
    with quiet(request.verbose):
        problem = load_problem(request.problem or old["problem"].get("source", DEFAULT_PROBLEM))
    trial_columns(problem.grid.axes, ["loss"])
    seed = old.get("seed", 0) if request.seed is None else request.seed
    if manifest:  # the code, data and models are compared once they are there
        fingerprint, metrics = manifest["problem"]["fingerprint"], manifest["metrics"]
        asked_for = make_manifest(
            problem, fingerprint, metrics,
            seed=seed, engine=engine, backend=backend, search=manifest["search"],
        )  # fmt: skip
        _refuse_another(given, manifest, asked_for)
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
    out = given or _run_directory(_new_directory(problem.name), shard)
    cache = str(cache_directory()) if request.cache and backend == "jax" else None
    return Settings(problem, samplers, search, seed, engine, backend, cache, limits, out, manifest)


def run_search(request: Request, console: Console, errors: Console) -> int:
    """Search, count every trial in the run directory, and print the comparison.

    Parameters
    ----------
    request : Request
    console, errors : rich.console.Console
        For the results, and for progress.

    Returns
    -------
    int
        The exit code: 0; 130 if it was interrupted, 143 if it was terminated.

    Raises
    ------
    TuningError
        For what cannot be done as asked; nothing was written.
    RunStopped
        If the run could not go on.
    """
    started = time.perf_counter()
    settings = settle(request)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(sigterm_raises())
            if settings.manifest:
                with errors.status("Opening the run, once no other driver writes it"):
                    run = stack.enter_context(Run.open(settings.out))
            status = stack.enter_context(errors.status("Starting Ray and Keras"))
            loading = stack.enter_context(_loading(settings.problem, request.verbose))
            cluster = stack.enter_context(_cluster(request))
            driver = _driver(settings, cluster)
            data, digest = loading.result()
            if settings.manifest:
                _refuse_other_data(settings, settings.manifest, digest)
            driver.load(data)
            manifest = _manifest(settings, digest, _probe(settings.problem, driver))
            if settings.manifest:
                _refuse_another(settings.out, settings.manifest, manifest)
                run.set_search(settings.search)
            else:
                run = stack.enter_context(Run.create(settings.out, manifest))
            status.stop()
            if "shard" in settings.search:
                settings = _sharded(settings, driver.packing)
                if not any(sampler.n_trials for sampler in settings.samplers.values()):
                    console.print(
                        f"Shard {settings.search['shard']} has none of the search's trials."
                    )
                    return 0
            _announce(settings, run, driver, cluster, console)
            if request.verbose:
                errors.print(f"Threads of a worker: {driver.thread_report()}")
            _search(settings, driver, run, cluster, errors)
    except KeyboardInterrupt:
        _say_how_to_go_on(settings, request, errors)
        return exit_code()
    except RunStopped:
        _say_how_to_go_on(settings, request, errors)
        raise
    from tuning.analysis.report import report

    report(settings.out, console)
    elapsed = duration(time.perf_counter() - started)
    console.print(
        f"\nTook {elapsed} in all. The rows are in {shown(settings.out)}/:", soft_wrap=True
    )
    table = str(shown(settings.out) / "trials.csv")
    console.print(f"import pandas as pd; trials = pd.read_csv({table!r})", soft_wrap=True)
    return 0


def _sharded(settings: Settings, packing: Packing) -> Settings:
    """The settings with no more than a shard's points, whole programs where it can be."""
    shard, grid = Shard.parse(settings.search["shard"]), settings.problem.grid
    samplers: dict[str, Sampler] = {
        name: ShardSampler(sampler, lambda trial: shard.has(*packing.place(grid, trial)))
        for name, sampler in settings.samplers.items()
    }
    return dataclasses.replace(settings, samplers=samplers)


def print_estimate(request: Request, console: Console, errors: Console) -> None:
    """Time a few configurations and print what the whole grid would take.

    Raises
    ------
    TuningError
        For what cannot be done as asked.
    """
    from tuning.estimate import estimate, estimate_tables

    settings = settle(request)
    problem = settings.problem
    with (
        errors.status("Timing a few configurations"),
        _loading(problem, request.verbose) as loading,
        _cluster(request) as cluster,
    ):
        driver = _driver(settings, cluster)
        driver.load(loading.result()[0])
        driver.probe()
        found = estimate(driver, problem.grid, settings.seed)
    console.print(f"Problem {problem.name}: the whole grid")
    for table in estimate_tables(found, cluster.workers):
        console.print(table)


def print_explanation(request: Request, console: Console, errors: Console) -> None:
    """Print what of the problem's configurations shares a program, and why.

    Raises
    ------
    TuningError
        For what cannot be done as asked.
    """
    from tuning.explain import explanation_tables

    settings = settle(request)
    problem = settings.problem
    if settings.engine == "fit":
        raise TuningError("--explain is about packs, which --engine auto trains on --backend jax")
    with errors.status("Building the models"), quiet(request.verbose):
        data = load_data(problem)
        found = worker.probe(problem, data, worker.Job(settings.seed, settings.backend), True)
    if found.error:
        raise TuningError(untrainable(problem, settings.backend, found.error))
    if found.packing.reason:
        console.print(
            f"Problem {problem.name}: no two configurations can share a program, so each goes "
            f"through Keras' fit: {found.packing.reason}."
        )
        return
    console.print(f"Problem {problem.name}: what its configurations share")
    for table in explanation_tables(found.packing, problem.grid):
        console.print(table)


def _existing(out: Path | None) -> dict[str, Any] | None:
    """The manifest of the run to go on with; None if the directory is to be made."""
    if out is None or not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / MANIFEST).exists():
        raise TuningError(f"{out} is not a run: it exists, but has no {MANIFEST}")
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
        raise TuningError(f"--backend {backend} needs the package {backend}, which is not there")
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
            f"the run sweeps {old['sweep']} in {old['sweep_order']} order, which "
            f"{new['sweep']} in {new['sweep_order']} order does not go on with"
        )


def _new_directory(name: str) -> Path:
    """results/<problem>-<time>, with a number behind it if that is taken."""
    stem = f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    out, n = Path("results") / stem, 1
    while out.exists():
        n += 1
        out = Path("results") / f"{stem}-{n}"
    return out


@contextlib.contextmanager
def _loading(problem: Problem, verbose: bool) -> Iterator[Future[tuple[Data, str]]]:
    """The problem's data and its fingerprint, loaded while Ray starts."""

    def load() -> tuple[Data, str]:
        with quiet(verbose):
            data = load_data(problem)
        digest = data_fingerprint(data)
        from tuning.analysis import report  # noqa: F401  pandas takes its time

        return data, digest

    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(load)


def _cluster(request: Request) -> Any:
    return ray_cluster(request.address, request.workers, verbose=request.verbose)


def _driver(settings: Settings, cluster: Cluster) -> Driver:
    return Driver(
        settings.problem,
        seed=settings.seed,
        engine=settings.engine,
        backend=settings.backend,
        cluster=cluster,
        cache=settings.cache,
        limits=settings.limits,
    )


def _refuse_other_data(settings: Settings, manifest: Mapping[str, Any], digest: str) -> None:
    """Refuse to go on where what can be told without building a model is not the same."""
    model = manifest["problem"]["fingerprint"]["model"]
    as_far_as_known = _manifest(settings, digest, Probe(manifest["metrics"], model))
    _refuse_another(settings.out, manifest, as_far_as_known)


def _refuse_another(
    out: Path | None, manifest: Mapping[str, Any], asked_for: Mapping[str, Any]
) -> None:
    if found := differences(manifest, asked_for):
        raise TuningError(f"{out} is another run: {'; '.join(found)}")


def _probe(problem: Problem, driver: Driver) -> Probe:
    """A look at the problem's models: they can be trained, and report what judges them."""
    probe = driver.probe()
    scores = [f"val_{name}" for name in probe.metrics]
    if problem.metric not in scores:
        raise TuningError(
            f"problem {problem.name!r} is judged by {problem.metric!r}, but its models report "
            f"{', '.join(scores)}"
        )
    trial_columns(problem.grid.axes, probe.metrics)
    return probe


def _manifest(settings: Settings, digest: str, probe: Probe) -> dict[str, Any]:
    fingerprint = {
        "code": settings.problem.file.fingerprint,
        "model": probe.model_fingerprint,
        "data": digest,
    }
    return make_manifest(
        settings.problem,
        fingerprint,
        probe.metrics,
        seed=settings.seed,
        engine=settings.engine,
        backend=settings.backend,
        search=settings.search,
    )


def _announce(
    settings: Settings, run: Run, driver: Driver, cluster: Cluster, console: Console
) -> None:
    grid, search = settings.problem.grid, settings.search
    whole = samplers_of(search, grid, settings.seed)
    parts = []
    if "random" in whole:
        n = whole["random"].n_trials
        parts.append(f"{n:,} random configuration{'s' if n > 1 else ''}")
    if "sweep" in whole:
        n = whole["sweep"].n_trials
        if n == grid.size:
            which = "all"
        elif search["sweep_order"] == "spaced":
            which = f"{n:,} evenly spaced"
        else:
            which = search["sweep"] if ":" in search["sweep"] else f"the first {n:,}"
        parts.append(f"a sweep of {which} in grid order")
    counted = sum(map(len, run.done.values()))
    own = sum(sampler.n_trials for sampler in settings.samplers.values())
    shard = f"shard {search['shard']} ({own:,} trials) of " if "shard" in search else ""
    what = f"{shard}{' and '.join(parts)}"
    console.print(
        f"{settings.problem.name}: {grid.size:,} configurations; training {what}, "
        f"seed {settings.seed}, on {cluster.workers} "
        f"worker{'s' if cluster.workers > 1 else ''} of one CPU thread each "
        f"({_how(driver.packing)}, {settings.backend}).",
        highlight=False,
    )
    if settings.engine == "auto" and driver.packing.reason:
        console.print(f"No two configurations can share a program: {driver.packing.reason}.")
    if run.taken_over_from:
        console.print(f"Taking over from {run.taken_over_from}, which has died.", highlight=False)
    if counted:
        console.print(f"Going on with {shown(settings.out)}: {counted:,} trials are counted.")


def _how(packing: Packing) -> str:
    return "Keras fit" if packing.reason else "packed by program"


def _search(
    settings: Settings, driver: Driver, run: Run, cluster: Cluster, errors: Console
) -> None:
    with TerminalProgress(
        sum(sampler.n_trials for sampler in settings.samplers.values()),
        workers=cluster.workers,
        metric=settings.problem.metric,
        mode=settings.problem.mode,
        console=errors,
    ) as progress:
        driver.search(settings.samplers, run, progress)


def _say_how_to_go_on(settings: Settings, request: Request, errors: Console) -> None:
    if not (settings.out / MANIFEST).exists():
        errors.print("Stopped before the first trial; nothing was written.")
        return
    counted = len(load_results(settings.out))
    errors.print(f"Stopped. {counted:,} trials are counted; go on with")
    errors.print(f"  {go_on_command(settings.out, request)}", soft_wrap=True, markup=False)


def go_on_command(out: Path, request: Request) -> str:
    """The command that goes on with a run; all else it needs is in the manifest."""
    words = ["python", sys.argv[0], "--out", str(shown(out))]
    for option in ("workers", "address", "trial_timeout", "trial_memory"):
        if (value := getattr(request, option)) is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return shlex.join(words)
