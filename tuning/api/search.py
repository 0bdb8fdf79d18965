"""A search from what is asked for to the run directory: for the command line and for Python."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from tuning.api.finalists import train_finalists
from tuning.api.settings import Request, Settings, refuse_another
from tuning.budget import Budget, Course
from tuning.engines.keeping import Keep
from tuning.errors import RunStopped, TuningError, shortened
from tuning.execution import loop
from tuning.execution.found import Found
from tuning.execution.local import LocalExecutor
from tuning.execution.processes import ProcessExecutor
from tuning.execution.quiet import quiet
from tuning.execution.slots import SlotExecutor
from tuning.execution.worker import Job, Probe
from tuning.packing.axes import Kind, Packing, scattered_position, shard_position
from tuning.packing.packs import Packer
from tuning.problem.data import Data, splits_of
from tuning.problem.fingerprint import READ_BY_DATA
from tuning.problem.folds import folds_of
from tuning.problem.problem import Problem
from tuning.problem.variants import axes_of_data, searched_data
from tuning.runs.columns import trial_columns
from tuning.runs.manifest import Manifest, make_manifest
from tuning.runs.parts import Parts
from tuning.runs.run import Run
from tuning.samplers import Sampler, ShardSampler, trial_of_point
from tuning.samplers.protocol import Goal
from tuning.samplers.repeated import RepeatedSampler
from tuning.space.grid import Grid
from tuning.trial import Trial

TIMED_HORIZON = 100
"""Trials planned ahead where time may end the search, so that they are trained about in order."""

Status = Callable[[str], contextlib.AbstractContextManager[Any]]
"""Shows what is being done for the length of a `with` block."""


class Trainer(loop.Executor, Protocol):
    """An executor of a problem's trainings."""

    @property
    def packer(self) -> Packer:
        """The packer, which splits trials into packs; to be used after `probe`."""
        ...

    @property
    def workers(self) -> int:
        """Trials that train at once."""
        ...

    def thread_report(self) -> dict[str, Any]:
        """The numbers of threads that a worker's libraries report."""
        ...

    def load(self, data: Data) -> None:
        """Take the problem's data, checked."""
        ...

    def probe(self, known: Packing | None = None) -> Probe:
        """Look at the problem's models before anything is trained; what is known may spare it."""
        ...


@dataclass(frozen=True)
class Search:
    """A search that is ready to go.

    Attributes
    ----------
    settings : Settings
        With the samplers of a shard, if it is one.
    run : Run
    executor : Trainer
    whole : dict of str to Sampler
        Those of all shards together.
    """

    settings: Settings
    run: Run
    executor: Trainer
    whole: dict[str, Sampler]

    @property
    def packing(self) -> Packing:
        """The programs that configurations share."""
        return self.executor.packer.packing

    @property
    def total(self) -> int:
        """The trials of all strategies, at most."""
        return sum(sampler.n_trials for sampler in self._samplers.values())

    @property
    def _samplers(self) -> dict[str, Sampler]:
        """The samplers, which give each trial as many times as it is trained."""
        copies, own = self.run.manifest.copies, self.settings.samplers
        if copies.size == 1:
            return own
        return {name: RepeatedSampler(sampler, copies) for name, sampler in own.items()}

    def go(self, progress: loop.Progress, optimizer: bool = False) -> str:
        """Train and count all that is missing, and then the finalists.

        Parameters
        ----------
        progress : Progress
        optimizer : bool
            Whether the models kept have their optimizer's state.

        Returns
        -------
        str
            Why it ended, if its budget did it; else empty.

        Raises
        ------
        RunStopped
            If the run cannot go on, or a strategy fails.
        """
        manifest = self.run.manifest
        problem = manifest.problem
        keep = Keep(problem.metric, problem.mode, manifest.keep, optimizer)
        packer = self.executor.packer
        why = ""
        is_whole = manifest.copies.size == 1
        try:
            with contextlib.nullcontext(self.run) if is_whole else Parts(self.run) as record:
                for samplers, budget in self._parts():
                    course = Course(budget, problem.metric, problem.mode, self.run.spent(samplers))
                    learns = any(sampler.learns for sampler in samplers.values())
                    total = sum(sampler.n_trials for sampler in samplers.values())
                    progress.begun(total, course, learns=learns)
                    why = loop.search(
                        samplers, self.executor, record, packer, progress,
                        goal=Goal(problem.metric, problem.mode),
                        keep=keep if manifest.keep and is_whole else None,
                        horizon=TIMED_HORIZON if budget.time else loop.HORIZON,
                        course=course,
                    )  # fmt: skip
        except TuningError as error:  # what was counted stays
            raise RunStopped(str(error)) from error
        self.run.share_models()
        for trial, wanted in self._without_model():  # counted for another strategy before
            again = dataclasses.replace(keep, wanted={trial.key: wanted})
            for report in loop.train_all(self.executor, [packer.pack([trial])], again):
                self.run.keep(report.models)
        self.run.best.settle()
        try:
            train_finalists(self.run, self.executor, packer, progress, keep)
        except TuningError as error:
            raise RunStopped(str(error)) from error
        return "" if self.settings.budget.as_long_as else why

    def _parts(self) -> Iterator[tuple[dict[str, Sampler], Budget]]:
        """The strategies that are searched by at the same time, and the budget of each part."""
        samplers, budget = self._samplers, self.settings.budget
        if not (first := budget.as_long_as):
            yield samplers, budget
            return
        rest = dataclasses.replace(budget, as_long_as=None)
        yield {first: samplers[first]}, rest
        seconds = self.run.spent([first]).seconds
        for name, sampler in samplers.items():
            if name != first:
                yield {name: sampler}, dataclasses.replace(rest, time=max(seconds, 1.0))

    def _without_model(self) -> list[tuple[Trial, tuple[tuple[str, int], ...]]]:
        """The trials among the best that have no model yet, each with who wants it."""
        found: dict[Any, tuple[Trial, list[tuple[str, int]]]] = {}
        for strategy, number in self.run.best.missing():
            point = self.run.point(strategy, number)
            assert point is not None
            space, seed = self.settings.problem.space, self.settings.seed
            trial = trial_of_point(space, point, number, seed)
            found.setdefault(trial.key, (trial, []))[1].append((strategy, number))
        return [(trial, tuple(wanted)) for trial, wanted in found.values()]


@contextlib.contextmanager
def prepared(settings: Settings, request: Request, status: Status) -> Iterator[Search]:
    """Everything that a search needs, for the length of a `with` block.

    Parameters
    ----------
    settings : Settings
    request : Request
    status : callable
        Shows what is being done.

    Yields
    ------
    Search

    Raises
    ------
    TuningError
        For what cannot be done as asked; nothing was written.
    RunStopped
        If the run cannot go on.
    """
    with contextlib.ExitStack() as stack:
        run: Run | None = None
        if settings.manifest:
            with status("Opening the run, once no other driver writes it"):
                run = stack.enter_context(Run.open(settings.out))
        on_ray = request.on_ray and request.workers != 0
        with status("Starting Ray and Keras" if on_ray else "Starting Keras"):
            loading = stack.enter_context(_loading(settings.problem, request.verbose))
            executor = stack.enter_context(executor_of(settings, request))
            data, digest = loading.result()
            if settings.manifest:
                _refuse_other_data(settings, settings.manifest, digest, data)
            executor.load(data)
            found = Found.of(settings.problem, digest, _job(settings))
            known = None if found is None else found.read()
            probe = _probe(settings.problem, executor, splits_of(data), known)
            if found is not None and probe.packing != known:
                found.write(probe.packing)
            manifest = _manifest(settings, digest, probe, data)
            settings.budget.check_target(manifest.problem.metric, manifest.problem.mode)
            if run is not None:
                refuse_another(settings.out, run.manifest, manifest)
                run.extend(
                    settings.kept, settings.keep, settings.budget.settings(), settings.finalists
                )
            else:
                run = stack.enter_context(Run.create(settings.out, manifest))
            if settings.warm is not None:
                run.borrow(settings.warm)
        kinds = run.manifest.packing or executor.packer.packing.kinds
        yield Search(_sharded(settings, kinds), run, executor, settings.samplers)


@contextlib.contextmanager
def executor_of(settings: Settings, request: Request) -> Iterator[Trainer]:
    """The executor: in processes of its own, on Ray, or in this process."""
    job, engine = _job(settings), settings.engine
    if request.workers == 0:
        yield LocalExecutor(settings.problem, job, engine=engine)
        return
    with contextlib.ExitStack() as stack:
        if request.on_ray:
            from tuning.execution.cluster import ray_cluster  # Ray takes its time
            from tuning.execution.ray import RayExecutor

            where = request.ray_address, request.workers
            cluster = stack.enter_context(ray_cluster(*where, verbose=request.verbose))
            executor: SlotExecutor = RayExecutor(
                settings.problem, job, engine=engine, cluster=cluster
            )
        else:
            executor = ProcessExecutor(
                settings.problem,
                job,
                engine=engine,
                workers=request.workers,
                verbose=request.verbose,
            )
        stack.callback(executor.close)
        yield executor


def _job(settings: Settings) -> Job:
    return Job(
        settings.seed,
        settings.backend,
        settings.cache,
        limits=settings.limits,
        folder=str(settings.out.absolute()),
    )


@contextlib.contextmanager
def _loading(problem: Problem, verbose: bool) -> Iterator[Future[tuple[Data, str]]]:
    """The problem's data and its fingerprint, loaded while Ray starts."""

    def load() -> tuple[Data, str]:
        with quiet(verbose):
            return searched_data(problem)

    def import_report() -> None:  # pandas takes its time, which workers have now to look at models
        from tuning.report import analyse  # noqa: F401

    with ThreadPoolExecutor(1) as executor:
        loaded = executor.submit(load)
        executor.submit(import_report)
        yield loaded


def _sharded(settings: Settings, kinds: dict[str, Kind]) -> Settings:
    """The settings with no more than a shard's trials, whole programs where it can be.

    `kinds` are those with which the shard began: another version of a library may find others.
    """
    shard, space = settings.shard, settings.problem.space
    if shard is None:
        return settings

    def has(trial: Trial) -> bool:
        if isinstance(space, Grid) and trial.index is not None:
            return shard.has(*shard_position(space, trial.index, kinds))
        return shard.has(*scattered_position(trial.configuration, kinds))

    samplers: dict[str, Sampler] = {
        name: ShardSampler(sampler, has) for name, sampler in settings.samplers.items()
    }
    return dataclasses.replace(settings, samplers=samplers)


def _refuse_other_data(settings: Settings, manifest: Manifest, digest: str, data: Data) -> None:
    """Refuse to go on where what can be told without building a model is not the same."""
    problem = manifest.problem
    known = Probe(manifest.metrics, problem.mode, manifest.judge, problem.fingerprint["model"])
    as_far_as_known = _manifest(settings, digest, known, data)
    refuse_another(settings.out, manifest, as_far_as_known)


def _probe(problem: Problem, executor: Trainer, splits: list[str], known: Packing | None) -> Probe:
    """A look at the problem's models: they can be trained, and report what judges them."""
    probe = executor.probe(known)
    scores = [f"val_{name}" for name in probe.metrics]
    if problem.metric not in scores:
        if elements := [name for name in scores if name.startswith(f"{problem.metric}[")]:
            raise TuningError(
                f"problem {problem.name!r} is judged by {problem.metric!r}, which is an array: "
                f"let its metric be a single number, one of {elements[0]} to {elements[-1]}"
            )
        raise TuningError(
            f"problem {problem.name!r} is judged by {problem.metric!r}, but its models report "
            f"{shortened(', '.join(scores), 120)}: let its metric be one of these"
        )
    trial_columns(problem.space.parameters, probe.metrics, splits)
    if problem.mode is None and not probe.mode:
        raise TuningError(
            f"problem {problem.name!r} is judged by {problem.metric!r}, {probe.judge}, of which "
            "Keras does not know whether more or less is better: say mode = 'max' or mode = 'min'"
        )
    return probe


def _manifest(settings: Settings, digest: str, probe: Probe, data: Data) -> Manifest:
    fingerprint = {
        **settings.problem.fingerprint,
        "model": probe.model_fingerprint,
        "data": digest,
        **({"step": probe.packing.step} if probe.packing.step else {}),
        **({READ_BY_DATA: ", ".join(sorted(axes))} if (axes := axes_of_data(data)) else {}),
    }
    return make_manifest(
        settings.problem,
        fingerprint,
        probe.metrics,
        better=(probe.mode, probe.judge),
        seed=settings.seed,
        engine=settings.engine,
        backend=settings.backend,
        strategies=settings.kept,
        shard="" if settings.shard is None else str(settings.shard),
        keep=settings.keep,
        splits=splits_of(data),
        environment=probe.environment,
        packing=probe.packing.kinds,
        budget=settings.budget.settings(),
        warm="" if settings.warm is None else str(settings.warm),
        folds=len(folds_of(data)),
        repeats=settings.repeats,
        finalists=settings.finalists,
    )
