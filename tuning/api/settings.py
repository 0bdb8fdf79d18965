"""The settings of a search: from a request, with what it leaves open filled in."""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs

from tuning.budget import Budget
from tuning.errors import TuningError, listed, quoted
from tuning.execution.limits import Limits, bytes_of
from tuning.execution.quiet import quiet
from tuning.problem.file import load_problem
from tuning.problem.problem import Problem
from tuning.runs.columns import trial_columns
from tuning.runs.manifest import (
    MANIFEST,
    Finalists,
    Manifest,
    differences,
    make_manifest,
    read_manifest,
)
from tuning.runs.outcomes import outcomes_of
from tuning.runs.table import load_results
from tuning.samplers import MANY, Sampler, Shard, samplers_of, strategy
from tuning.samplers.protocol import Goal
from tuning.space.grid import Grid
from tuning.space.space import Space
from tuning.trial import SEEDS, Outcome

DEFAULT_PROBLEM = "mnist_2_vs_7"
RAY_ADDRESS = "RAY_ADDRESS"  # the variable by which Ray finds a cluster
DEFAULT_RANDOM = 20
DEFAULT_TRIALS = 100  # of a strategy that learns, where no budget ends it
DEFAULT_LEARNER = "packs"
KEEP = 1  # models of the best trials, for each strategy
EXECUTORS = ("processes", "ray")
DEFAULT_SWEEP = {"auto": 1440, "fit": 48}  # three minutes of the built-in problem on two cores


@dataclass(frozen=True)
class Request:
    """A request for a search; None stands for the run's own setting, or the default.

    Attributes
    ----------
    problem : str or Problem, optional
        A built-in problem's name or a Python file; or a problem made of functions.
    strategy : sequence of str, optional
        Names of strategies.
    trials : int, optional
        Of each of these.
    given : mapping
        Their further settings; ``epochs_min`` and ``reduction`` among them.
    random : int, optional
        Trials of random search; 0 for none.
    sweep : str, optional
        The sweep's points: N, ``A:B``, ``all``, or ``0`` for none.
    sweep_order : {"grid", "spaced"}, optional
        Whether N means the first N, or N evenly spaced.
    shard : str, optional
        As `tuning.samplers.Shard.parse` takes it: the part of the search to train.
    seed : int, optional
    workers : int, optional
        Trials that train at once; one a CPU unless told. With 0 this process trains, without Ray.
    engine : {"auto", "fit"}, optional
        Whether configurations that share a program train together.
    backend : str, optional
        What Keras runs on.
    cache : bool
        Whether to keep compiled programs, and what was found of models, in the user's cache
        directory.
    keep : int, optional
        How many models of the best trials of each strategy to keep.
    keep_optimizer : bool
        Whether they have the optimizer's state.
    out : Path, optional
        The run directory, new or to be gone on with.
    address : str, optional
        A Ray cluster to join.
    executor : {"processes", "ray"}, optional
        Whether workers are processes of this machine's own, or Ray's; see `on_ray`.
    trial_timeout : float, optional
        Seconds that a trial may take.
    trial_memory : str, optional
        What its worker may take, as `tuning.execution.limits.bytes_of` reads it.
    verbose : bool
        Let libraries and workers speak.
    budget : Budget
        When the search ends, besides when its strategies do; without any limit that of the run.
    warm : Path, optional
        An earlier run, of which strategies hear first.
    finalists : int, optional
        How many of the best configurations to train again afterwards; 0 for none.
    repeats : int, optional
        With how many other seeds; without finalists, with how many seeds to train each trial.
    folds : int, optional
        How many folds to cut the rows into, in place of what the problem says.
    """

    problem: str | Problem | None = None
    strategy: Sequence[str] | None = None
    trials: int | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    random: int | None = None
    sweep: str | None = None
    sweep_order: str | None = None
    shard: str | None = None
    seed: int | None = None
    workers: int | None = None
    engine: str | None = None
    cache: bool = True
    backend: str | None = None
    keep: int | None = None
    keep_optimizer: bool = False
    out: Path | None = None
    address: str | None = None
    executor: str | None = None
    trial_timeout: float | None = None
    trial_memory: str | None = None
    verbose: bool = False
    budget: Budget = field(default_factory=Budget)
    warm: Path | None = None
    finalists: int | None = None
    repeats: int | None = None
    folds: int | None = None

    @property
    def on_ray(self) -> bool:
        """Whether Ray's workers train: as asked, or else where there is a Ray already."""
        if self.executor is not None:
            return self.executor == "ray"
        return bool(self.address or ray_runs() or os.environ.get(RAY_ADDRESS))

    @property
    def ray_address(self) -> str | None:
        """The cluster to join: that asked for, or else the one that the environment names."""
        named = None if ray_runs() else os.environ.get(RAY_ADDRESS)
        return self.address or (None if named == "local" else named or None)


def ray_runs() -> bool:
    """Whether this process is connected to a Ray."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@dataclass(frozen=True)
class Settings:
    """A request made definite.

    Attributes
    ----------
    samplers : dict of str to Sampler
        Of what is searched now.
    kept : dict
        The strategies' settings for the manifest, which never say less than they said.
    shard : Shard, optional
    budget : Budget
    warm : Path, optional
    finalists : Finalists
    repeats : int
        Seeds that each trial is trained with.
    manifest : Manifest, optional
        Of the run that is gone on with; None for a new one.
    """

    problem: Problem
    samplers: dict[str, Sampler]
    kept: dict[str, dict[str, Any]]
    shard: Shard | None
    seed: int
    engine: str
    backend: str
    cache: str | None
    keep: int
    limits: Limits
    budget: Budget
    warm: Path | None
    finalists: Finalists
    repeats: int
    out: Path
    manifest: Manifest | None


def settle(request: Request) -> Settings:
    """Fill in what the request leaves open, and check what can be checked without training.

    Where a problem's file is to be loaded, Keras will run on the backend in this process, as the
    file may import it.

    Raises
    ------
    TuningError
        For anything that cannot be done as asked.
    """
    if request.workers is not None and request.workers < 0:
        raise TuningError(f"--workers takes a number from 0, not {request.workers}")
    if request.seed is not None and not 0 <= request.seed < SEEDS:
        raise TuningError(f"--seed takes a number from 0 to {SEEDS - 1:,}, not {request.seed}")
    if request.keep is not None and request.keep < 0:
        raise TuningError(f"--keep takes a number of models from 0, not {request.keep}")
    _check_executor(request)
    limits = _limits(request)
    _check_finalists(request)
    shard = None if request.shard is None else Shard.parse(request.shard)
    given = _run_directory(request.out, shard) if request.out else None
    manifest = _existing(given)
    engine, backend = _engine_and_backend(request, manifest)
    problem = _in_folds(_problem(request, manifest, backend), request, manifest)
    finalists = _finalists(request, manifest, shard)
    repeats = _repeats(request, manifest, finalists)
    _check_copies(problem, repeats, finalists, shard)
    trial_columns(problem.space.parameters, ["loss"])
    old_seed = manifest.seed if manifest else 0
    seed = old_seed if request.seed is None else request.seed
    if manifest:  # the code, data and models are compared once they are there
        asked_for = make_manifest(
            problem, manifest.problem.fingerprint, manifest.metrics,
            better=(manifest.problem.mode, manifest.judge), splits=manifest.splits,
            seed=seed, engine=engine, backend=backend, strategies=manifest.strategies,
            folds=manifest.folds, repeats=repeats,
        )  # fmt: skip
        refuse_another(given, manifest, asked_for)
        if manifest.shard and shard is None:
            shard = Shard.parse(manifest.shard)
    strategies, budget = _search(request, manifest, problem.space, engine)
    for name in strategies.keys() & manifest.strategies.keys() if manifest else ():
        assert manifest is not None
        strategies[name] = strategy(name).going_on(manifest.strategies[name], strategies[name])
    samplers = samplers_of(strategies, problem.space, seed)
    warm = request.warm or (Path(manifest.warm) if manifest and manifest.warm else None)
    if warm is not None:
        known = known_of(warm, problem.metric, problem.space)
        for sampler in samplers.values():
            sampler.recall(known)
    if not any(sampler.n_trials for sampler in samplers.values()):
        none = "both --random and --sweep are 0"
        if request.strategy is not None:
            none = "let trials be at least 1, or name a sweep"
        raise TuningError(f"nothing to search: {none}")
    kept = strategies
    if manifest:
        kept = _larger(manifest.strategies, strategies, problem.space, seed)
    out = given or _run_directory(_new_directory(problem.name), shard)
    cache = str(cache_directory()) if request.cache and backend == "jax" else None
    old_keep = manifest.keep if manifest else KEEP
    keep = old_keep if request.keep is None else request.keep
    _check_budget(budget, problem, manifest)
    return Settings(
        problem, samplers, kept, shard, seed, engine, backend, cache, keep, limits, budget,
        warm, finalists, repeats, out, manifest,
    )  # fmt: skip


def _check_executor(request: Request) -> None:
    """Refuse an executor that there is not, or that has no address."""
    if request.executor not in (None, *EXECUTORS):
        raise TuningError(
            f"executor takes {' or '.join(EXECUTORS)}, not {quoted(request.executor)}"
        )
    if request.executor == "processes" and request.address is not None:
        raise TuningError(
            "--executor processes trains on this machine alone: leave out --address "
            f"{request.address}"
        )


def _problem(request: Request, manifest: Manifest | None, backend: str) -> Problem:
    """The problem to search: one of functions, or one from a file."""
    if importlib.util.find_spec(backend) is None:
        raise TuningError(
            f"--backend {backend} needs the package {backend}, which is not installed"
        )
    if isinstance(request.problem, Problem):
        return request.problem
    select_backend(backend)
    with quiet(request.verbose):
        source = manifest.problem.source if manifest else DEFAULT_PROBLEM
        return load_problem(source if request.problem is None else request.problem)


def _search(
    request: Request, manifest: Manifest | None, space: Space, engine: str
) -> tuple[dict[str, dict[str, Any]], Budget]:
    """The strategies' settings and the budget: those asked for, the run's, or the default."""
    budget = request.budget
    if not budget and manifest:
        budget = Budget.from_settings(manifest.budget)
    if request.strategy is not None:
        return _named(request, request.strategy, space, engine, budget), budget
    old = request.random is None and request.sweep is None and request.sweep_order is None
    if old and not manifest and request.shard is None and not budget:
        swept = ["sweep"] if isinstance(space, Grid) else []
        names = ["random", *swept, DEFAULT_LEARNER]
        budget = Budget(as_long_as="random")
        return _named(request, names, space, engine, budget), budget
    return _old_options(request, manifest, space, engine), budget


def _named(
    request: Request, names: Sequence[str], space: Space, engine: str, budget: Budget
) -> dict[str, dict[str, Any]]:
    """The settings of the strategies that were named, and of those that have options."""
    also = [name for name in ("random", "sweep") if getattr(request, name) not in (None, 0, "0")]
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([*names, *also]):
        if name == "sweep":
            points = request.sweep or _default_points(space, engine)
            found[name] = {"points": points, "order": request.sweep_order or "grid"}
            continue
        trials = request.trials
        if name == "random":
            ended = budget and not budget.as_long_as
            default = MANY if ended else DEFAULT_RANDOM
            given = request.trials if request.random is None else request.random
            trials = int(min(default, space.size)) if given is None else given
        elif trials is None:
            many = budget and strategy(name).learns
            trials = MANY if many else int(min(DEFAULT_TRIALS, space.size))
        found[name] = {"trials": trials, **_given_to(name, request.given)}
    for setting in request.given:
        if (one := setting.partition("."))[1] and one[0] not in found:
            raise TuningError(f"--set {setting}: the strategy {one[0]!r} is not searched by")
    return found


def _given_to(strategy: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings given to all strategies, and those given to one by its name and a dot."""
    own = {name: value for name, value in given.items() if "." not in name}
    prefix = f"{strategy}."
    return own | {
        name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)
    }


def _default_points(space: Space, engine: str) -> str:
    """The points of a sweep of which none are named."""
    return str(int(min(DEFAULT_SWEEP[engine], space.size)))


def _old_options(
    request: Request, manifest: Manifest | None, space: Space, engine: str
) -> dict[str, dict[str, Any]]:
    """The settings that the options of random search and of the sweep mean."""
    if manifest:
        found = {name: dict(settings) for name, settings in manifest.strategies.items()}
    else:
        found = {"random": {"trials": min(DEFAULT_RANDOM, space.size)}}
        if isinstance(space, Grid):
            found["sweep"] = {"points": _default_points(space, engine), "order": "grid"}
    if request.random is not None:
        found["random"] = {**found.get("random", {}), "trials": request.random}
    if request.sweep is not None or request.sweep_order is not None:
        own = found.get("sweep", {"points": "0", "order": "grid"})
        asked = {"points": request.sweep, "order": request.sweep_order}
        found["sweep"] = own | {name: value for name, value in asked.items() if value is not None}
    if found.get("random", {}).get("trials") == 0:
        del found["random"]
    if found.get("sweep", {}).get("points", "").strip("0") == "" and "sweep" in found:
        del found["sweep"]
    return found


def known_of(run: Path, metric: str, space: Space) -> list[Outcome]:
    """The outcomes of an earlier run whose configurations are of a space, as `recall` has them.

    Raises
    ------
    TuningError
        If it is no run, is chosen by another metric, or has no such configuration.
    """
    manifest = read_manifest(run)
    if manifest.problem.metric != metric:
        raise TuningError(
            f"{run} is chosen by {manifest.problem.metric}, and this search by {metric}"
        )
    goal = Goal(metric, manifest.problem.mode)
    found = []
    for outcome in outcomes_of(load_results(run), manifest):
        configuration = manifest.space.values(outcome.trial.configuration)
        with contextlib.suppress(TuningError):
            own = space.labels(configuration)
            found.append(replace(outcome, trial=replace(outcome.trial, configuration=own)))
    if not found:
        raise TuningError(f"no trial of {run} has a configuration of this search's space")

    def rank(outcome: Outcome) -> tuple[bool, int, float]:
        stopped = outcome.status == "stopped"
        return stopped, -outcome.trial.epochs if stopped else 0, -goal.worth(outcome)

    return sorted(found, key=rank)


def _check_budget(budget: Budget, problem: Problem, manifest: Manifest | None) -> None:
    """Refuse a target that cannot be reached."""
    if mode := problem.mode or (manifest.problem.mode if manifest else None):
        budget.check_target(problem.metric, mode)


def _existing(out: Path | None) -> Manifest | None:
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


def _check_finalists(request: Request) -> None:
    """Refuse numbers of finalists and repeats that there cannot be."""
    if request.finalists is not None and request.finalists < 0:
        raise TuningError(
            f"--finalists takes a number of configurations from 0, not {request.finalists}"
        )
    if request.repeats is not None and not 1 <= request.repeats < SEEDS:
        raise TuningError(f"--repeats takes a number of seeds from 1, not {request.repeats}")


def _finalists(request: Request, manifest: Manifest | None, shard: Shard | None) -> Finalists:
    """The finalists asked for, or the run's."""
    old = manifest.finalists if manifest else Finalists()
    n = old.n if request.finalists is None else request.finalists
    if n and shard is not None:
        raise TuningError(
            "--finalists are the best of a whole search: merge its shards, and go on with that run"
        )
    own = request.repeats if n else None
    return Finalists(n, old.repeats if own is None else own)


def _in_folds(problem: Problem, request: Request, manifest: Manifest | None) -> Problem:
    """The problem with as many folds as are asked for, or as the run has where it says none."""
    folds = request.folds
    if folds is None and problem.folds is None and manifest and manifest.folds:
        folds = manifest.folds
    return problem if folds is None else replace(problem, folds=folds)


def _repeats(request: Request, manifest: Manifest | None, finalists: Finalists) -> int:
    """The seeds of each trial: those asked for, unless they are of finalists, or the run's."""
    old = manifest.repeats if manifest else 1
    return old if request.repeats is None or finalists.n else request.repeats


def _check_copies(
    problem: Problem, repeats: int, finalists: Finalists, shard: Shard | None
) -> None:
    """Refuse what cannot be done with folds or repeats."""
    if problem.folds is None and repeats == 1:
        return
    if shard is not None:
        raise TuningError("a shard trains each trial once: leave out --folds and --repeats")
    if problem.folds is not None and finalists.n:
        raise TuningError(
            "--finalists are trained on the problem's own training rows: leave out folds"
        )
    if "fold" in problem.space.parameters:
        raise TuningError("an axis cannot be called 'fold': the results have such a column")


def _engine_and_backend(request: Request, manifest: Manifest | None) -> tuple[str, str]:
    """The engine and backend: packs on JAX, unless another one is asked for."""
    backend = request.backend or (manifest.backend if manifest else None)
    engine = request.engine or (manifest.engine if manifest else "auto")
    if engine == "auto" and backend not in (None, "jax"):
        engine = "fit"
    return engine, backend or ("jax" if engine == "auto" else "tensorflow")


def cache_directory() -> Path:
    """The folder where compiled programs are kept for later runs, by the platform's custom."""
    return platformdirs.user_cache_path("tuning") / "xla"


def select_backend(backend: str) -> None:
    """Select the backend for the Keras that the problem's file may import."""
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _larger(
    old: Mapping[str, Mapping[str, Any]],
    new: Mapping[str, Mapping[str, Any]],
    space: Space,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """The strategies of both, of each that both have the settings with more trials.

    Raises
    ------
    TuningError
        If one of both does not begin with the other's trials.
    """
    kept = {name: dict(settings) for name, settings in {**old, **new}.items()}
    before, after = samplers_of(old, space, seed), samplers_of(new, space, seed)
    for name in before.keys() & after.keys():
        if old[name] == new[name] or after[name].begins_with(before[name]):
            continue
        if not before[name].begins_with(after[name]):
            raise TuningError(
                f"the run has {before[name].describe()}, and {after[name].describe()} does not "
                "begin with it: name another directory"
            )
        kept[name] = dict(old[name])
    return kept


def _new_directory(name: str) -> Path:
    """results/<problem>-<time>, with a number behind it if that is taken."""
    stem = f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    out, n = Path("results") / stem, 1
    while out.exists():
        n += 1
        out = Path("results") / f"{stem}-{n}"
    return out


def refuse_another(out: Path | None, manifest: Manifest, asked_for: Manifest) -> None:
    if found := differences(manifest, asked_for):
        raise TuningError(
            f"{out} is another run: {listed(found)} (name another directory for a new one)"
        )
