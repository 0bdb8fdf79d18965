"""What a driver has its worker processes do, on one CPU thread."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import logging
import math
import os
import sys
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tuning.compatibility.jax import kernels_of_tpus_later
from tuning.compatibility.keras import let_tensorflow_be
from tuning.engines.keeping import Keep, Keeper
from tuning.engines.memory import keep_for_good, tidy
from tuning.engines.reports import Report
from tuning.errors import TuningError, first_line, shortened
from tuning.execution import threads
from tuning.execution.limits import Limits, held_to
from tuning.execution.threads import one_cpu, use_one_thread
from tuning.packing.axes import UNPACKED, Packing
from tuning.problem.data import Data, text_of
from tuning.problem.environment import environment, refuse_another_environment
from tuning.problem.folds import without_folds
from tuning.problem.problem import Problem
from tuning.problem.variants import axes_of_data, data_of, parts_of_data, refuse_other_draws
from tuning.problem.weighing import training_weights
from tuning.space.grid import Grid
from tuning.space.near import probed
from tuning.space.space import Configuration, Space
from tuning.trial import Outcome, Paused, Trial

CACHE_BYTES = 2 * 2**30  # of compiled programs when a worker starts; the oldest go


@dataclass(frozen=True)
class Job:
    """The settings that all tasks of a search share.

    Attributes
    ----------
    seed : int
    backend : {"tensorflow", "jax", "torch"}
        What Keras runs on.
    cache : str, optional
        The folder for compiled programs.
    packing : Packing
        How configurations share programs; with a reason if each goes through `fit`.
    environment : dict of str to str
        What changes numbers outside of the problem's file; empty until a worker has told.
    limits : Limits
        What a trial may take.
    nudged : bool
        Whether trainings begin with weights moved by a rounding error.
    folder : str
        The run's directory, where callbacks write their files.
    """

    seed: int
    backend: str
    cache: str | None = None
    packing: Packing = UNPACKED
    environment: dict[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    nudged: bool = False
    folder: str = ""

    @property
    def packs(self) -> bool:
        """Whether configurations share programs."""
        return not self.packing.reason


@dataclass(frozen=True)
class Probe:
    """The result of a first look at a problem's models, before anything is trained.

    Attributes
    ----------
    metrics : list of str
        What the models report, ``loss`` first; empty if `error` is set.
    mode, judge : str
        ``"max"`` or ``"min"``, as more or less is better of the score that chooses, or nothing
        where Keras does not know; and what that score is, such as ``keras.metrics.AUC``.
    model_fingerprint : str
        SHA-256 of the first model that builds, as Keras serializes it.
    error : str
        Why no model of the problem can be trained, as one line.
    packing : Packing
        How configurations share programs.
    environment : dict of str to str
        What changes numbers outside of the problem's file.
    """

    metrics: list[str] = field(default_factory=list)
    mode: str = ""
    judge: str = ""
    model_fingerprint: str = ""
    error: str = ""
    packing: Packing = UNPACKED
    environment: dict[str, str] = field(default_factory=dict)


@functools.cache
def prepare(backend: str, cache: str | None = None) -> None:
    """Make this process a worker: one thread, quiet, Keras imported on the backend; once.

    Parameters
    ----------
    backend : {"tensorflow", "jax", "torch"}
    cache : str, optional
        The folder in which JAX keeps compiled programs.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    use_one_thread(backend)
    if backend == "jax":
        _prepare_jax(cache)
    if "keras" in sys.modules and sys.modules["keras"].backend.backend() != backend:
        raise RuntimeError(f"Keras runs on another backend than {backend} in this process already")
    with _absent("IPython", "matplotlib", "pandas", "sklearn"), kernels_of_tpus_later():
        import keras  # noqa: F401

    if backend != "tensorflow":
        let_tensorflow_be()
    keep_for_good()


@contextlib.contextmanager
def _absent(*packages: str) -> Iterator[None]:
    """Hide packages from imports for a while: Keras imports some that a worker does not need.

    Its plots, its scikit-learn wrappers and its reading of data frames, which a worker does not
    need, took more than half of the time to import it.
    """
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


def _prepare_jax(cache: str | None) -> None:
    """One device, and compiled programs kept on the disk."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    logging.getLogger("jax").setLevel(logging.ERROR)
    if cache is not None:
        _keep_compiled(cache)


def _keep_compiled(cache: str) -> None:
    """Tell JAX to keep compiled programs in a folder."""
    import jax

    _make_room(Path(cache))
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _make_room(cache: Path) -> None:
    """Delete the oldest compiled programs; JAX itself would do so under a lock at every one."""
    files = []
    for path in cache.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another worker makes room, too
            stat = path.stat()
            files.append((stat.st_mtime, stat.st_size, path))
    excess = sum(size for _, size, _ in files) - CACHE_BYTES
    for _, size, path in sorted(files):
        if excess <= 0:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        excess -= size


class Watch(Protocol):
    """What a worker tells of what it trains, where that has limits."""

    def begin(self) -> None:
        """It begins."""
        ...

    def record_reason(self, why: str) -> None:
        """The process is about to be ended."""
        ...

    def end(self) -> None:
        """It has ended within its limits."""
        ...


def train(
    problem: Problem,
    data: Data,
    trials: list[Trial],
    job: Job,
    keep: Keep | None = None,
    *,
    watch: Watch | None = None,
    **options: Any,
) -> Iterator[Report]:
    """Train configurations: those of one program together, or each through `fit`.

    Parameters
    ----------
    problem : Problem
    data : dict
        As `problem.load_data` returned it, checked.
    trials : list of Trial
    job : Job
    keep : Keep, optional
        Which models to keep, and report.
    watch : Watch, optional
        Needed where the job has limits.
    **options
        Of `train_prepared`.

    Yields
    ------
    Report
        Together they have an outcome of each trial. Beyond a limit the process ends.
    """
    with one_cpu():
        prepare(job.backend, job.cache)
        if not job.limits:
            yield from train_prepared(problem, data, trials, job, keep, **options)
            return
        assert watch is not None
        watch.begin()
        with held_to(job.limits, len(trials), watch.record_reason):
            yield from train_prepared(problem, data, trials, job, keep, **options)
        watch.end()


@dataclass(frozen=True)
class StateSize:
    """What a driver knows of a paused training's state.

    Attributes
    ----------
    training : hashable
        By `Packing.trajectory_of`.
    epochs : int
        Trained so far.
    bytes : int
        Of its variables.
    """

    training: Hashable
    epochs: int
    bytes: int


@dataclass(frozen=True)
class Told:
    """What a kept worker tells its driver.

    Attributes
    ----------
    report : Report
        Without the states of what is paused, which are large and not for the driver.
    states : list of StateSize
        Those that come with it, in this order.
    """

    report: Report
    states: list[StateSize] = field(default_factory=list)


def states_apart(report: Report) -> tuple[Told, list[Paused]]:
    """What to tell of a report, and the states in it."""
    found = sizes(report)
    told = Told(dataclasses.replace(report, paused={}), [size for size, _ in found])
    return told, [state for _, state in found]


def sizes(report: Report) -> list[tuple[StateSize, Paused]]:
    """The paused trainings of a report, with what a driver knows of each."""
    return [
        (StateSize(training, state.epochs, _bytes_of(state)), state)
        for training, state in report.paused.items()
    ]


def _bytes_of(state: Paused) -> int:
    return int(sum(each.nbytes for each in state.variables)) + len(state.callbacks)


class KeptWorker:
    """A worker process that is kept for a search: what its driver calls."""

    def __init__(self) -> None:
        self._searched: tuple[Problem, Data] | None = None

    def prepare(self, job: Job) -> None:
        """Import what training needs, before there is anything to train."""
        with one_cpu():
            prepare(job.backend, job.cache)

    def thread_report(self, job: Job) -> dict[str, Any]:
        """What the process' libraries say of their threads: see `thread_report`."""
        return thread_report(job)

    def probe(self, *what: Any, **options: Any) -> Probe:
        """Look at a problem's models: see `look`."""
        return probe(*what, **options)

    def reports(self, problem: Problem, data: Data, *what: Any, **options: Any) -> Iterator[Report]:
        """Train a pack: see `train`.

        Parameters
        ----------
        problem, data
            The same at every call: those of the first are kept, by which the engine knows again
            what it has built.
        *what, **options
            As `train` takes them.
        """
        if self._searched is None:
            self._searched = problem, data
        yield from train(*self._searched, *what, **options)


def train_prepared(
    problem: Problem,
    data: Data,
    trials: list[Trial],
    job: Job,
    keep: Keep | None = None,
    *,
    going_on: Mapping[Hashable, Paused] | None = None,
    pauses: bool = False,
    seconds: float | None = None,
) -> Iterator[Report]:
    """Train configurations in a process that is prepared, without limits.

    Parameters
    ----------
    problem, data, trials, job, keep
        As `train` takes them. Where the data depends on the configuration, each trial has its own.
    going_on : mapping of key to Paused, optional
        States to go on from, by `Packing.trajectory_of`; what has none here begins anew, with the
        same outcome.
    pauses : bool
        Whether the last report has a state of every training that ended well and can go on.
    seconds : float, optional
        After so many seconds of wall time from now, what is not finished stops after its epoch,
        and comes to an outcome ``stopped`` of the epochs it has, be it none.

    Raises
    ------
    TuningError
        If Keras is not set up as for the run's other workers.
    """
    deadline = math.inf if seconds is None else time.perf_counter() + seconds
    if job.environment:
        refuse_another_environment(problem, job.environment)
    how = _How(job, keep, going_on or {}, pauses, deadline)
    left = trials
    while left:
        try:
            own = data_of(problem, data, left[0].configuration)
        except TuningError as error:
            engine = "vectorized" if job.packs else "fit"
            failed = Outcome(left[0], "failed", engine, job.backend, error=str(error))
            yield Report([failed])
            left = left[1:]
            continue
        refuse_other_draws(problem, data, own)
        part, left = parts_of_data(left, own)
        yield from _train_on(problem, own, part, how)
    tidy()


@dataclass(frozen=True)
class _How:
    """What all parts of a pack have in common, as `train_prepared` takes it."""

    job: Job
    keep: Keep | None
    going_on: Mapping[Hashable, Paused]
    pauses: bool
    deadline: float


def _train_on(problem: Problem, data: Data, trials: list[Trial], how: _How) -> Iterator[Report]:
    """Train configurations on the data that they have in common."""
    job, keep = how.job, how.keep
    if trials[0].fold is None:  # of a model that is to learn from all rows
        data = without_folds(data)
    keeper = Keeper(keep, problem, data) if keep is not None else None
    if job.packs:
        from tuning.engines.vectorized import train_pack

        yield from train_pack(
            problem,
            data,
            trials,
            job.packing,
            nudge=job.nudged,
            keeper=keeper,
            going_on=how.going_on,
            pauses=how.pauses,
            deadline=how.deadline,
            folder=job.folder,
        )
    else:
        from tuning.engines.fit import fit_on

        why = "" if job.packing == UNPACKED else job.packing.reason
        safe = not why  # else the model may keep more than its variables
        states: dict[Hashable, Paused] = {}
        for trial in trials:
            key = job.packing.trajectory_of(trial)
            fitted = fit_on(
                problem,
                data,
                trial,
                why,
                nudge=job.nudged,
                keeper=keeper,
                paused=how.going_on.get(key) if safe else None,
                pauses=how.pauses and safe,
                deadline=how.deadline,
                folder=job.folder,
            )
            if fitted.paused is not None:
                states[key] = fitted.paused
            models = keeper.models() if keeper is not None else []
            told = states if trial is trials[-1] else {}
            outcome = fitted.outcome
            yield Report([outcome], fitted.epoch_seconds, outcome.seconds, models, told)


def probe(problem: Problem, data: Data, job: Job, *what: Any, **options: Any) -> Probe:
    """Look at a problem's models, in a worker process of its own: see `look`."""
    with one_cpu():
        prepare(job.backend, job.cache)
        return look(problem, data, job, *what, **options)


def shares(space: Space, n: int) -> list[Space]:
    """A grid's axes in at most n shares that take about as long to look at; another space whole.

    Those with a 0 among their values are in the first: they may be looked at twice, as noise of
    strength 0 is drawn or not.
    """
    if not isinstance(space, Grid) or n == 1:
        return [space]
    axes = space.axes
    first = [name for name, values in axes.items() if 0 in values]
    loads = {0: 2 * sum(len(axes[name]) for name in first)} | dict.fromkeys(range(1, n), 0)
    found: list[list[str]] = [first, *([] for _ in range(1, n))]
    for name in sorted(axes, key=lambda each: -len(axes[each])):  # the same in every process
        if name not in first:
            place = min(loads, key=loads.__getitem__)
            found[place].append(name)
            loads[place] += len(axes[name])
    return [Grid({name: axes[name] for name in names}) for names in found if names]


def joined(probes: Sequence[Probe], space: Space) -> Probe:
    """The result of looks at all shares of a space, from those at each, in their order."""
    if failed := [each for each in probes if each.error or each.packing.reason]:
        return failed[0]
    axes = {name: axis for each in probes for name, axis in each.packing.axes.items()}
    own = {name: axes[name] for name in space.parameters}
    return dataclasses.replace(probes[0], packing=dataclasses.replace(probes[0].packing, axes=own))


def look(
    problem: Problem,
    data: Data,
    job: Job,
    pack: bool,
    share: tuple[int, int] = (0, 1),
    *,
    known: Packing | None = None,
) -> Probe:
    """Build a model of the problem, and if asked find how its configurations share programs.

    A configuration whose model does not build is an ordinary failure, so a few are tried before the
    problem is called unusable. One that goes beyond the job's limits ends the process. Of several
    shares of the axes, this looks along those of one alone: see `joined`.

    Parameters
    ----------
    problem : Problem
    data : dict
    job : Job
    pack : bool
    share : (int, int)
        Which share, from 0, and how many `shares` to ask for.
    known : Packing, optional
        What was found before. If it still holds, that is found, without a look along the axes;
        otherwise a packing with a reason.
    """
    from tuning.compatibility.keras import better, describe
    from tuning.engines.callbacks import made_callbacks
    from tuning.engines.fit import score_names
    from tuning.engines.foreign import reason, remedy
    from tuning.engines.models import compiled_model

    if job.backend != "tensorflow" and (place := text_of(data)):
        return Probe(error=f"{place} is text, which only TensorFlow has: {remedy('tensorflow')}")

    def build(chosen: Configuration) -> Any:
        with held_to(job.limits, 1, lambda _: None):
            return compiled_model(problem, chosen, job.seed)

    errors = []
    for configuration in probed(problem.space):
        try:
            made_callbacks(problem, configuration)
            model = build(configuration)
            own = data_of(problem, data, configuration)
            training_weights(problem, own, configuration)
            digest = hashlib.sha256(describe(model).encode()).hexdigest()
            metrics = score_names(model, own)
            judge = better(model, problem.metric.removeprefix("val_"))
        except Exception as error:
            errors.append(reason(error))
        else:
            what = problem, data, job, configuration, share
            found = _packing(*what, known=known) if pack else UNPACKED
            return Probe(metrics, *judge, digest, packing=found, environment=environment(problem))
    return Probe(error=errors[0])


def after_probe(problem: Problem, job: Job, found: Probe) -> Job:
    """The job, with what a look at the problem's models has found.

    Raises
    ------
    TuningError
        If none of them can be trained.
    """
    if found.error:
        raise TuningError(
            f"no model of problem {problem.name!r} can be trained on {job.backend}: "
            f"{shortened(found.error, 200)}"
        )
    return dataclasses.replace(job, packing=found.packing, environment=found.environment)


def thread_report(job: Job) -> dict[str, Any]:
    """Prepare the worker, and return what its libraries say of their threads."""
    with one_cpu():
        prepare(job.backend, job.cache)
        return threads.report()


def _packing(
    problem: Problem,
    data: Data,
    job: Job,
    base: Configuration,
    share: tuple[int, int],
    *,
    known: Packing | None,
) -> Packing:
    """The programs that the problem's configurations share, or the reason why they cannot."""
    from tuning.engines.callbacks import axes_read
    from tuning.engines.vectorized import look_at, try_out
    from tuning.packing.axes import discover, still_holds

    place, n = share
    first: list[Any] = []

    def look(configuration: Configuration, drawn: bool, twice: bool = False) -> Any:
        own = configuration if n == 1 else {**base, **configuration}  # of a share of the axes
        like = first[0] if first else None
        with held_to(job.limits, 1, lambda _: None):
            rows = data_of(problem, data, own)
            steps = look_at(problem, rows, own, job.seed, drawn=drawn, twice=twice, like=like)
        first.append(steps)
        return steps

    try:
        if known is not None:
            return known if still_holds(known, problem.space, look, base) else UNPACKED
        reads = functools.partial(axes_read, problem)
        own_share = shares(problem.space, n)[place]
        found = discover(own_share, look, base, reads, of_data=axes_of_data(data))
        if not found.reason and not place:
            own = data_of(problem, data, base)
            doubtful, once = try_out(problem, own, base, job.seed)
            found = dataclasses.replace(found, doubtful=doubtful, once=once)
    except Exception as error:
        return Packing(reason=f"its training cannot be vectorized: {first_line(error)}")
    return found


def prepare_own_process(backend: str, cache: str | None = None) -> None:
    """Import Keras on a backend in a process that is not a worker; change nothing else there.

    Raises
    ------
    TuningError
        If Keras runs on another one already.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    if (running := keras.backend.backend()) != backend:
        raise TuningError(
            f"Keras runs on {running} in this process already, so {backend} needs workers of "
            "their own: let there be at least 1"
        )
    if backend == "jax" and cache is not None:
        _keep_compiled(cache)
