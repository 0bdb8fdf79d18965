"""A whole search: from what the command line asks for to the comparison in the run directory."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

from tuning.api.settings import Request, Settings, refuse_another, settle
from tuning.callbacks.terminal import TerminalProgress, duration
from tuning.errors import RunStopped, TuningError, shortened
from tuning.execution import worker
from tuning.execution.cluster import Cluster, ray_cluster
from tuning.execution.driver import Driver, untrainable
from tuning.execution.quiet import quiet
from tuning.execution.supervisor import tell
from tuning.execution.worker import Probe
from tuning.packing.axes import Kind, Packing, place
from tuning.problem.data import Data, data_fingerprint
from tuning.problem.problem import Problem, load_data
from tuning.report.terminal import print_table, say
from tuning.runs.lock import let_go
from tuning.runs.manifest import MANIFEST, chosen_by, make_manifest, read_manifest
from tuning.runs.run import Run, own_python, shown, trial_columns
from tuning.runs.table import load_results
from tuning.samplers import Sampler, Shard, ShardSampler, samplers_of


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
        The exit code: 0.

    Raises
    ------
    TuningError
        For what cannot be done as asked; nothing was written.
    RunStopped
        If the run could not go on.
    """
    started = time.perf_counter()
    settings = settle(request)
    _tell_how_to_go_on(settings, request)
    try:
        with contextlib.ExitStack() as stack:
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
                refuse_another(settings.out, settings.manifest, manifest)
                run.set_search(settings.kept)
            else:
                run = stack.enter_context(Run.create(settings.out, manifest))
            _tell_how_to_go_on(settings, request)
            status.stop()
            if "shard" in settings.search:
                settings = _sharded(settings, run.manifest.get("packing", driver.packing.kinds))
                if not any(sampler.n_trials for sampler in settings.samplers.values()):
                    console.print(
                        f"Shard {settings.search['shard']} has none of the search's trials."
                    )
                    return 0
            _announce(settings, run, driver, cluster, console)
            if request.verbose:
                errors.print(f"Threads of a worker: {driver.thread_report()}")
            _search(settings, driver, run, cluster, errors)
        from tuning.report.report import report

        report(settings.out, console)
    except (KeyboardInterrupt, RunStopped):
        _say_how_to_go_on(settings.out, _go_on_command(settings, request), errors)
        raise
    elapsed = duration(time.perf_counter() - started)
    console.print(
        f"\nTook {elapsed} in all. The rows are in {shown(settings.out)}/:", soft_wrap=True
    )
    table = str(shown(settings.out) / "trials.csv")
    console.print(f"import pandas as pd; trials = pd.read_csv({table!r})", soft_wrap=True)
    return 0


def _sharded(settings: Settings, kinds: Mapping[str, Kind]) -> Settings:
    """The settings with no more than a shard's points, whole programs where it can be.

    `kinds` are those with which the shard began: another version of a library may find others.
    """
    shard, grid = Shard.parse(settings.search["shard"]), settings.problem.grid
    samplers: dict[str, Sampler] = {
        name: ShardSampler(sampler, lambda trial: shard.has(*place(grid, trial, kinds)))
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
    from tuning.api.estimate import estimate, estimate_tables

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
        found = estimate(driver, problem, settings.seed)
    console.print(f"Problem {problem.name}: the whole grid")
    for table in estimate_tables(found, cluster.workers):
        print_table(console, table)


def print_explanation(request: Request, console: Console, errors: Console) -> None:
    """Print what of the problem's configurations shares a program, and why.

    Raises
    ------
    TuningError
        For what cannot be done as asked.
    """
    from tuning.api.explain import explanation_tables

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
        say(
            console,
            f"Problem {problem.name}: no two configurations can share a program, so each goes "
            f"through Keras' fit: {found.packing.reason}.",
        )
        return
    console.print(f"Problem {problem.name}: what its configurations share")
    for table in explanation_tables(found.packing, problem.grid):
        print_table(console, table)
    if found.packing.doubtful:
        say(
            console,
            f"Its models have operations that may be slow in a pack "
            f"({', '.join(found.packing.doubtful)}): a few steps of each program are compared with "
            "those of Keras' fit on JAX, and what is faster trains it.",
        )


@contextlib.contextmanager
def _loading(problem: Problem, verbose: bool) -> Iterator[Future[tuple[Data, str]]]:
    """The problem's data and its fingerprint, loaded while Ray starts."""

    def load() -> tuple[Data, str]:
        with quiet(verbose):
            data = load_data(problem)
        digest = data_fingerprint(data)
        from tuning.report import report  # noqa: F401  pandas takes its time

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
    known = Probe(manifest["metrics"], model_fingerprint=model)
    as_far_as_known = _manifest(settings, digest, known)
    refuse_another(settings.out, manifest, as_far_as_known)


def _probe(problem: Problem, driver: Driver) -> Probe:
    """A look at the problem's models: they can be trained, and report what judges them."""
    probe = driver.probe()
    scores = [f"val_{name}" for name in probe.metrics]
    if problem.metric not in scores:
        if elements := [name for name in scores if name.startswith(f"{problem.metric}[")]:
            raise TuningError(
                f"problem {problem.name!r} is judged by {problem.metric!r}, which is an array: "
                f"let metric in its file be a single number, one of {elements[0]} to "
                f"{elements[-1]}"
            )
        raise TuningError(
            f"problem {problem.name!r} is judged by {problem.metric!r}, but its models report "
            f"{shortened(', '.join(scores), 120)}: let metric in its file be one of these"
        )
    trial_columns(problem.grid.axes, probe.metrics)
    if problem.mode is None and not probe.mode:
        raise TuningError(
            f"problem {problem.name!r} is judged by {problem.metric!r}, {probe.judge}, of which "
            "Keras does not know whether more or less is better: the problem's file has to say "
            "mode = 'max' or mode = 'min'"
        )
    return probe


def _manifest(settings: Settings, digest: str, probe: Probe) -> dict[str, Any]:
    fingerprint = {
        **settings.problem.fingerprint,
        "model": probe.model_fingerprint,
        "data": digest,
    }
    manifest = make_manifest(
        settings.problem,
        fingerprint,
        probe.metrics,
        better=(probe.mode, probe.judge),
        seed=settings.seed,
        engine=settings.engine,
        backend=settings.backend,
        search=settings.kept,
    )
    known = {"environment": probe.environment} if probe.environment else {}
    return {**manifest, **known, "packing": probe.packing.kinds}


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
    own = sum(sampler.n_trials for sampler in settings.samplers.values())
    shard = f"shard {search['shard']} ({own:,} trials) of " if "shard" in search else ""
    what = f"{shard}{' and '.join(parts)}"
    say(
        console,
        f"{settings.problem.name}: {grid.size:,} configurations; training {what}, "
        f"seed {settings.seed}, on {cluster.workers} "
        f"worker{'s' if cluster.workers > 1 else ''} of one CPU thread each "
        f"({_how(driver.packing)}, {settings.backend}); the best has {chosen_by(run.manifest)}.",
    )
    if settings.engine == "auto" and driver.packing.reason:
        say(console, f"No two configurations can share a program: {driver.packing.reason}.")
    if run.taken_over_from:
        say(console, f"Taking over from {run.taken_over_from}, which has died.")
    if run.counted:
        say(console, f"Going on with {shown(settings.out)}: {run.counted:,} trials are counted.")


def _how(packing: Packing) -> str:
    return "Keras fit" if packing.reason else "packed by program"


def _search(
    settings: Settings, driver: Driver, run: Run, cluster: Cluster, errors: Console
) -> None:
    with TerminalProgress(
        sum(sampler.n_trials for sampler in settings.samplers.values()),
        workers=cluster.workers,
        metric=settings.problem.metric,
        mode=run.manifest["problem"]["mode"],
        console=errors,
    ) as progress:
        driver.search(settings.samplers, run, progress)


def known_of(request: Request) -> dict[str, Any]:
    """What `say_stopped` needs of a run that is there, before the request is looked at."""
    if request.out is None or not (request.out / MANIFEST).exists():
        return {}
    return {"out": str(request.out), "go_on": go_on_command(request.out, request, search=True)}


def _tell_how_to_go_on(settings: Settings, request: Request) -> None:
    tell(out=str(settings.out), go_on=_go_on_command(settings, request))


def say_stopped(facts: Mapping[str, Any], errors: Console) -> None:
    """Say how far a command came whose process has ended, and let others write its run.

    Parameters
    ----------
    facts : mapping
        What it told its supervisor; with ``writes`` False if it was not to write a run.
    errors : rich.console.Console
    """
    if errors.is_terminal:  # where a bar may be left
        errors.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
        errors.show_cursor()
    if not facts.get("writes", True):
        errors.print("Stopped.")
        return
    out = Path(facts["out"]) if "out" in facts else None
    if out:
        let_go(out)
    _say_how_to_go_on(out, facts.get("go_on", ""), errors)


def _say_how_to_go_on(out: Path | None, command: str, errors: Console) -> None:
    if out is None or not (out / MANIFEST).exists():
        errors.print("Stopped before the first trial; nothing was written.")
        return
    errors.print(f"Stopped. {len(load_results(out)):,} trials are counted; go on with")
    errors.print(f"  {command}", soft_wrap=True)


def _go_on_command(settings: Settings, request: Request) -> str:
    """The command that goes on with a search, at this moment."""
    try:
        extended = settings.kept != read_manifest(settings.out)["search"]
    except TuningError:  # there is no run yet
        extended = False
    return go_on_command(settings.out, request, extended)


def go_on_command(out: Path, request: Request, search: bool = False) -> str:
    """The command that goes on with a run, and with the request's search if it is to be said."""
    words = [own_python(), sys.argv[0], "--out", str(shown(out))]
    options = ("workers", "address", "trial_timeout", "trial_memory")
    for option in (*(("random", "sweep", "sweep_order") if search else ()), *options):
        if (value := getattr(request, option)) is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    if not request.cache:
        words.append("--no-cache")
    return shlex.join(words)
