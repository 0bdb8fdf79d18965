"""A search as a command: what it says before, meanwhile and after, and how to go on."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

from tuning.api.estimate import estimate, estimate_tables
from tuning.api.explain import explanation_tables, said_of_frozen
from tuning.api.search import Search, executor_of, prepared
from tuning.api.settings import Request, Settings, settle
from tuning.budget import Budget
from tuning.callbacks.terminal import TerminalProgress
from tuning.errors import RunStopped, TuningError
from tuning.execution import worker
from tuning.execution.quiet import quiet
from tuning.execution.supervisor import tell
from tuning.packing.axes import Packing
from tuning.problem.folds import folds_of
from tuning.problem.problem import Problem
from tuning.problem.variants import searched_data
from tuning.report.terminal import duration, print_table, say
from tuning.report.text import size_text
from tuning.runs.lock import let_go
from tuning.runs.manifest import MANIFEST, chosen_by, read_manifest
from tuning.runs.table import load_results
from tuning.runs.typed import shown, typed


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
        with prepared(settings, request, errors.status) as search:
            _tell_how_to_go_on(settings, request)
            if not search.total:
                console.print(f"Shard {settings.shard} has none of the search's trials.")
                return 0
            _announce(search, console)
            if request.verbose and request.workers != 0:
                errors.print(f"Threads of a worker: {search.executor.thread_report()}")
            with TerminalProgress(
                search.total,
                workers=search.executor.workers,
                metric=settings.problem.metric,
                mode=search.run.manifest.problem.mode,
                console=errors,
            ) as progress:
                why = search.go(progress, request.keep_optimizer)
        from tuning.report.analyse import print_comparison

        print_comparison(settings.out, console)
    except (KeyboardInterrupt, RunStopped):
        _say_how_to_go_on(settings.out, _go_on_command(settings, request), errors)
        raise
    elapsed = duration(time.perf_counter() - started)
    ended = f"It ended as {why}. " if why else ""
    console.print(
        f"\n{ended}Took {elapsed} in all. The rows are in {shown(settings.out)}/:", soft_wrap=True
    )
    table = str(shown(settings.out) / "trials.csv")
    console.print(f"import pandas as pd; trials = pd.read_csv({table!r})", soft_wrap=True)
    return 0


def print_estimate(request: Request, console: Console, errors: Console) -> None:
    """Time a few configurations and print what the whole grid would take.

    Raises
    ------
    TuningError
        For what cannot be done as asked.
    """
    settings = settle(request)
    problem = settings.problem
    with errors.status("Timing a few configurations"), executor_of(settings, request) as executor:
        with quiet(request.verbose):
            data, _ = searched_data(problem)
        executor.load(data)
        executor.probe()
        copies = max(1, len(folds_of(data))) * settings.repeats
        found = estimate(executor, problem, settings.seed, copies)
        workers = executor.workers or 1
    console.print(f"Problem {problem.name}: the whole grid")
    for table in estimate_tables(found, workers):
        print_table(console, table)


def print_explanation(request: Request, console: Console, errors: Console) -> None:
    """Print what of the problem's configurations shares a program, and why.

    Raises
    ------
    TuningError
        For what cannot be done as asked.
    """
    settings = settle(request)
    problem = settings.problem
    if settings.engine == "fit":
        raise TuningError(
            "only packs can be explained, which --engine auto trains on --backend jax"
        )
    with errors.status("Building the models"), quiet(request.verbose):
        data, _ = searched_data(problem)
        job = worker.Job(settings.seed, settings.backend)
        found = worker.probe(problem, data, job, True)
    worker.after_probe(problem, job, found)
    _print_packing(found.packing, problem, console)


def _print_packing(packing: Packing, problem: Problem, console: Console) -> None:
    """Print which axes share programs, and what else holds for all of them."""
    if packing.reason:
        say(
            console,
            f"Problem {problem.name}: no two configurations can share a program, so each goes "
            f"through Keras' fit: {packing.reason}.",
        )
        return
    console.print(f"Problem {problem.name}: what its configurations share")
    for table in explanation_tables(packing, problem.space):
        print_table(console, table)
    if said := said_of_frozen(packing):
        say(console, said)
    if packing.doubtful:
        say(
            console,
            f"Its models have operations that may be slow in a pack "
            f"({', '.join(packing.doubtful)}): a few steps of each program are compared with "
            "those of Keras' fit on JAX, and what is faster trains it.",
        )


def _announce(search: Search, console: Console) -> None:
    settings, manifest = search.settings, search.run.manifest
    space, workers = settings.problem.space, search.executor.workers
    parts = [sampler.describe() for sampler in search.whole.values()]
    until = f", {said}" if (said := settings.budget.describe()) else ""
    shard = f"shard {settings.shard} ({search.total:,} trials) of " if settings.shard else ""
    where = (
        f"{workers} worker{'s' if workers > 1 else ''} of one CPU thread each"
        if workers
        else "this process"
    )
    say(
        console,
        f"{settings.problem.name}: {size_text(space)}; training {shard}"
        f"{_all_of(parts)}{until}, seed {settings.seed}, on {where} "
        f"({_how(search)}, {settings.backend}); the best has {chosen_by(manifest)}.",
    )
    if settings.engine == "auto" and search.packing.reason:
        say(console, f"No two configurations can share a program: {search.packing.reason}.")
    if search.run.taken_over_from:
        say(console, f"Taking over from {search.run.taken_over_from}, which has died.")
    if search.run.counted:
        say(
            console,
            f"Going on with {shown(settings.out)}: {search.run.counted:,} trials are counted.",
        )


def _all_of(parts: list[str]) -> str:
    """The parts as a list in words."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def _how(search: Search) -> str:
    return "Keras fit" if search.packing.reason else "packed by program"


def known_of(request: Request) -> dict[str, Any]:
    """The facts for `say_stopped` of a run that exists, before the request is checked."""
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
        there = read_manifest(settings.out)
        extended = (
            settings.kept != there.strategies
            or settings.budget.settings() != there.budget
            or settings.finalists != there.finalists
        )
    except TuningError:  # there is no run yet
        extended = False
    return go_on_command(settings.out, request, extended)


def go_on_command(out: Path, request: Request, search: bool = False) -> str:
    """The command that goes on with a run, and with the request's search if it is to be said."""
    words = [*typed("run"), "--out", str(shown(out))]
    if request.executor is not None and "run" in typed("run"):  # not the script, which is on Ray
        words += ["--executor", request.executor]
    if search and request.strategy is not None:
        for name in request.strategy:
            words += ["--strategy", name]
        for name, value in request.given.items():
            words += ["--set", f"{name}={json.dumps(value)}"]
    if search and request.budget != Budget():
        for name, value in request.budget.settings().items():
            option = {"epochs": "epochs-total"}.get(name, name.replace("_", "-"))
            words += [f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)]
    options = ("workers", "address", "trial_timeout", "trial_memory")
    searched = ("trials", "random", "sweep", "sweep_order", "warm", "finalists", "repeats", "folds")
    for option in (*(searched if search else ()), *options):
        if (value := getattr(request, option)) is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    if not request.cache:
        words.append("--no-cache")
    return shlex.join(words)
