"""The engine `vectorized`: configurations that share a program, trained together on one thread.

On the JAX backend a compiled Keras model's `train_step` is a pure function of its variables. A pack
is `jax.lax.scan`, over an epoch's batches, of `jax.vmap` of the traced step over its members'
stacked variables and the numbers in which they differ: see `tuning.packing.sameness`. All that the
user compiled stays: loss, metrics, regularizers, optimizer, layers with state.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tuning.compatibility.keras import fixed_rows
from tuning.engines.batches import row_order
from tuning.engines.fit import fit, seconds_a_step
from tuning.engines.foreign import reason
from tuning.engines.keeping import Keeper
from tuning.engines.models import compiled_model
from tuning.engines.nudge import nudged
from tuning.engines.parts import Sizes, shapes_of
from tuning.engines.program import Program, State
from tuning.engines.reports import Report, Reporter
from tuning.engines.scores import divergence, score_metrics, shortest_float32
from tuning.engines.scoring import adds_up
from tuning.engines.weights import Weights
from tuning.errors import first_line
from tuning.packing.axes import UNPACKED, Packing, Recorded
from tuning.packing.sameness import Steps, equal, steps_of
from tuning.packing.trace import Unproven
from tuning.problem.data import Data, n_samples
from tuning.problem.problem import Problem
from tuning.space.grid import Configuration
from tuning.trial import Outcome, Trial, batch_size

ENGINE = "vectorized"
MOST_AT_ONCE = 64
COMPARED_SECONDS = 10.0  # of a pack's training, from which it is compared with `fit` if in doubt
FASTER = 1.3  # times as fast a step of `fit` has to be; the pack's contains its validation


class SlowerThanFit(Exception):
    """A pack that Keras' `fit` trains faster; says so in a few words."""


@dataclass
class Member:
    """A trajectory: trials of one seed that differ only in how long they are trained.

    Attributes
    ----------
    configuration : dict
        Of one of them.
    seed : int
    steps : Steps
        What its model does.
    trials : list of Trial
        Each takes its result after its own epochs.
    curve : list of dict of str to float
        Keras' logs of each epoch.
    tests : dict of int to dict of str to float
        The test scores after so many epochs.
    epoch_seconds : list of float
        Its share of the time of each epoch.
    seconds : float
        Its share of all other time.
    """

    configuration: Configuration
    seed: int
    steps: Steps
    trials: list[Trial]
    curve: list[dict[str, float]] = field(default_factory=list)
    tests: dict[int, dict[str, float]] = field(default_factory=dict)
    epoch_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def last(self) -> int:
        """The epochs it is trained."""
        return max(trial.epochs for trial in self.trials)


def train_pack(
    problem: Problem,
    data: Data,
    trials: Sequence[Trial],
    packing: Packing,
    *,
    nudge: bool = False,
    keeper: Keeper | None = None,
) -> Iterator[Report]:
    """Train configurations that are expected to share a program.

    A trial's outcome depends on problem, configuration and seed, to the rounding of floating-point
    sums, whoever else is in the pack.

    Every configuration's model is built and traced before it is trained, and those whose traces
    agree are trained together. One that does not build fails alone; one that cannot be proven to
    be like others, or not be vectorized, trains by `fit`.

    Parameters
    ----------
    problem : Problem
    data : dict
        As `problem.load_data` returned it, checked.
    trials : sequence of Trial
        Of one seed or several: each seed has its own initial weights, order of the rows and noise.
    packing : Packing
        As `tuning.packing.axes.discover` returned it.
    nudge : bool
        Whether to begin with weights moved by a rounding error: see `tuning.engines.nudge`.
    keeper : Keeper, optional
        Holds the weights of the best; their models come with the reports.

    Yields
    ------
    Report
        Every few seconds, and at the end; together they have an outcome of each trial. One that
        takes its result early in its trajectory is reported then.
    """
    started = time.perf_counter()
    reporter = Reporter(keeper)
    task = Task(problem, data, packing, nudge, keeper)
    programs, others = _programs(task, trials)
    if len(programs) > 1 and not packing.drawn:  # perhaps for want of noise of strength 0
        drawn = replace(task, packing=replace(packing, drawn=True))
        found = _programs(drawn, trials)
        if len(found[0]) < len(programs):
            task, (programs, others) = drawn, found
    reporter.add(each for each in others if isinstance(each, Outcome))
    looked = (time.perf_counter() - started) / max(1, len(trials))
    for members in programs.values():
        for member in members:
            member.seconds = looked * len(member.trials)
        yield from _train(task, _once(members), reporter)
        yield reporter.report()
    for trial, why in (each for each in others if not isinstance(each, Outcome)):
        yield from _by_fit(task, [trial], why, reporter)
    yield reporter.report()


def try_out(
    problem: Problem, data: Data, configuration: Configuration, seed: int
) -> tuple[str, ...]:
    """Go through a training of a pack of two without compiling it.

    Returns
    -------
    tuple of str
        Operations that may take longer in a pack than by themselves.

    Raises
    ------
    Exception
        If the model cannot be vectorized: what JAX or Keras says of it.
    """
    members = [
        Member(configuration, each, look_at(problem, data, configuration, each), [])
        for each in (seed, seed + 1)
    ]
    program = program_of(Task(problem, data, UNPACKED), members)
    program.trace()
    return program.doubtful


@dataclass(frozen=True)
class Task:
    """The problem, data and packing that all members of a task share."""

    problem: Problem
    data: Data
    packing: Packing
    nudge: bool = False
    keeper: Keeper | None = None


def _programs(
    task: Task, trials: Sequence[Trial]
) -> tuple[dict[str, list[Member]], list[Outcome | tuple[Trial, str]]]:
    """The trials as members by program; the others as outcomes, or for `fit` and why."""
    programs: dict[str, list[Member]] = {}
    others: list[Outcome | tuple[Trial, str]] = []
    for group in _trajectories(task, trials):
        for each in _looks(task, group, twice=not programs):
            if isinstance(each, Member):
                programs.setdefault(each.steps.key, []).append(each)
            else:
                others.append(each)
    return programs, others


def _trajectories(task: Task, trials: Sequence[Trial]) -> list[list[Trial]]:
    """The trials that differ in nothing but their epochs, side by side."""
    groups: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        key = trial.seed, task.packing.trajectory(trial.configuration)
        groups.setdefault(key, []).append(trial)
    return list(groups.values())


def _looks(
    task: Task, trials: list[Trial], twice: bool
) -> Iterator[Member | Outcome | tuple[Trial, str]]:
    """A trajectory's trials as members, as outcomes of what does not build, or for `fit` and why.

    Where `build_model` reads the epochs, each trial is a member of its own.
    """
    left = list(trials)
    while left:
        trial = left[0]
        configuration = Recorded(trial.configuration)
        try:
            steps = look_at(
                task.problem,
                task.data,
                configuration,
                trial.seed,
                drawn=task.packing.drawn,
                twice=twice,
            )
        except Unproven as error:
            left.pop(0)
            yield trial, str(error)
            continue
        except Exception as error:
            left.pop(0)
            yield Outcome(trial, "failed", ENGINE, "jax", error=reason(error))
            continue
        if task.nudge:
            n = steps.sizes[0]
            steps = replace(steps, state=[*nudged(steps.state[:n]), *steps.state[n:]])
        n_own = 1 if "epochs" in configuration.read else len(left)
        own, left = left[:n_own], left[n_own:]
        yield Member(dict(trial.configuration), trial.seed, steps, own)


def look_at(
    problem: Problem,
    data: Data,
    configuration: Configuration,
    seed: int,
    *,
    drawn: bool = False,
    twice: bool = False,
    like: Steps | None = None,
) -> Steps:
    """Build a configuration's model and trace what it does with the sizes of its first batches.

    Parameters
    ----------
    drawn : bool
        Whether noise of strength 0 is drawn like any other.
    twice : bool
        Whether to trace it twice, and see that it does the same.
    like : Steps, optional
        Of a model that it is only compared with: its scores are taken to add up over batches as
        that one's do, which takes 0.3 s to find.

    Raises
    ------
    Unproven
        If it cannot be compared with others.
    Exception
        What building or tracing it raised.
    """
    model = compiled_model(problem, configuration, seed, drawn)
    scored_rows, rows = fixed_rows(model), batch_size(configuration)
    if like is not None and scored_rows is None:
        scored_rows = like.scored_rows

    def traced(scored_rows: int | None) -> tuple[Steps, int]:
        sizes = Sizes.of(data, rows, scored_rows)
        batch, scored = shapes_of(data, "train", sizes.train[0]), shapes_of(data, *sizes.scored[0])
        return steps_of(model, batch, scored, twice=twice), sizes.scored[0][1]

    steps, at_once = traced(scored_rows)
    if like is None and scored_rows is None and not adds_up(model, steps, data, at_once):
        scored_rows = rows
        steps, _ = traced(scored_rows)
    return replace(steps, scored_rows=scored_rows)


def _once(members: list[Member]) -> list[Member]:
    """The members, of those that do the same with the same numbers only the first, for all."""
    kept: list[Member] = []
    alike: dict[Any, list[Member]] = {}
    for member in members:
        numbers = [number.tobytes() for own in member.steps.numbers for number in own]
        others = alike.setdefault((member.seed, *numbers), [])
        same = next((other for other in others if equal(member.steps, other.steps)), None)
        if same is None:
            others.append(member)
            kept.append(member)
        else:
            same.trials += member.trials
            same.seconds += member.seconds
    return kept


def _train(task: Task, members: list[Member], reporter: Reporter) -> Iterator[Report]:
    """Train the members, or have `fit` train what cannot be vectorized."""
    at_once = MOST_AT_ONCE
    while True:
        try:
            yield from _run(task, members, at_once, reporter)
            return
        except Exception as error:
            why = first_line(error)
            if isinstance(error, SlowerThanFit):
                why = str(error)
                break
            if at_once == 1 or len(members) == 1 or not _is_out_of_memory(error):
                why = f"packed, it fails: {why}"
                break
            at_once = math.ceil(min(at_once, len(members)) / 2)
        for member in members:
            member.curve, member.tests, member.epoch_seconds = [], {}, []
    trials = [trial for member in members for trial in member.trials]
    yield from _by_fit(task, trials, why, reporter)


def _by_fit(task: Task, trials: list[Trial], why: str, reporter: Reporter) -> Iterator[Report]:
    """Train by `fit` the trials that were not reported yet, and say why."""
    for trial in trials:
        if trial.key not in reporter.told:
            outcome = fit(task.problem, task.data, trial, why, nudge=task.nudge, keeper=task.keeper)
            reporter.add([outcome], outcome.epoch_seconds)
            if reporter.due:
                yield reporter.report()


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def program_of(task: Task, members: list[Member]) -> Program:
    """The program that the members share."""

    def again(i: int, batch: Any, scored: Any) -> Steps:
        own = members[i]
        model = compiled_model(task.problem, own.configuration, own.seed, task.packing.drawn)
        return steps_of(model, batch, scored)

    return Program(
        [member.steps for member in members],
        again,
        task.data,
        batch_size(members[0].configuration),
        epochs=sum(member.last for member in members if member.trials),
        apart=len({member.seed for member in members}) > 1,
    )


def _run(task: Task, members: list[Member], at_once: int, reporter: Reporter) -> Iterator[Report]:
    """Train all members, a block at a time, epoch by epoch."""
    import jax

    started = time.perf_counter()
    order = sorted(members, key=lambda member: -member.last)
    seeds = [member.seed for member in order]
    program = program_of(task, order)
    n_rows = n_samples(task.data["train"])
    size = program.block_size(len(order), at_once)
    blocks = [range(i, min(i + size, len(order))) for i in range(0, len(order), size)]
    states = [program.start(block) for block in blocks]
    for member in members:
        member.seconds += (time.perf_counter() - started) / len(members)
    for epoch in range(order[0].last):
        begun = time.perf_counter()
        rows = {seed: row_order(seed, epoch, n_rows) for seed in set(seeds)}
        if not program.apart:
            batches = program.batches([rows[seeds[0]]])
        shuffling = (time.perf_counter() - begun) / len(members)
        for i, block in enumerate(blocks):
            own = [order[k] for k in block]
            if own[0].last <= epoch:
                continue
            begun = time.perf_counter()
            if program.apart:
                batches = program.batches([rows[member.seed] for member in own])
            states[i], logs = program.epoch(states[i], batches)
            tested = any(t.epochs == epoch + 1 for member in own for t in member.trials)
            tests = program.test(states[i]) if tested else {}
            logs, tests = jax.device_get((logs, tests))
            share = (time.perf_counter() - begun) / len(own) + shuffling
            for j, member in enumerate(own):
                if epoch < member.last:
                    member.curve.append(_of_member(logs, j))
                    member.epoch_seconds.append(share)
                    finished = [trial for trial in member.trials if trial.epochs == epoch + 1]
                    if finished:
                        member.tests[epoch + 1] = _of_member(tests, j)
                    reporter.add(
                        (_outcome(member, trial) for trial in finished),
                        [share],
                        functools.partial(_weights, program, states[i], j),
                    )
            if (epoch, i) == (1, 0):  # the first epoch has compiled the program
                left = sum(max(0, member.last - 2) for member in members) * share
                _compare_with_fit(task, program, own[0], left)
            if reporter.due:
                yield reporter.report()


def _compare_with_fit(task: Task, program: Program, member: Member, left: float) -> None:
    """Time a few steps of Keras' own on JAX, where a pack may be slower and it pays to know.

    Parameters
    ----------
    left : float
        Seconds that the pack is still to be trained, about.

    Raises
    ------
    SlowerThanFit
        If Keras' own are faster.
    """
    if not program.doubtful or left < COMPARED_SECONDS:
        return
    model = compiled_model(task.problem, member.configuration, member.seed)
    ours, theirs = member.epoch_seconds[1] / program.n_steps, seconds_a_step(model, program.example)
    if theirs * FASTER < ours:
        raise SlowerThanFit(
            f"it is faster, {theirs * 1e3:.2g} ms a step on JAX in place of {ours * 1e3:.2g} "
            f"packed; operations that are slow in a pack: {', '.join(program.doubtful)}"
        )


def _weights(program: Program, state: State, j: int) -> Weights:
    """The weights of the j-th member of a block, after the epoch that was trained last."""
    trainable, non_trainable, _, _ = program.sizes
    values, stop = program.weights(state, j), trainable + non_trainable
    paths = program.paths[trainable:stop]
    return Weights(values[:trainable], values[trainable:stop], values[stop:], paths, finished=False)


def _of_member(scores: Mapping[str, Any], i: int) -> dict[str, float]:
    """The scores of the i-th member of a block."""
    return {name: shortest_float32(values[i]) for name, values in scores.items()}


def _outcome(member: Member, trial: Trial) -> Outcome:
    """The trial's part of its trajectory, billed only for epochs beyond the next shorter trial."""
    last = trial.epochs
    shorter = max((each.epochs for each in member.trials if each.epochs < last), default=0)
    sharing = sum(each.epochs == last for each in member.trials)
    epoch_seconds = member.epoch_seconds[:last]
    seconds = sum(epoch_seconds[shorter:]) + (member.seconds if shorter == 0 else 0.0)
    seconds /= sharing
    for i, logs in enumerate(member.curve[:last]):
        if error := divergence(logs, i + 1):
            return Outcome(
                trial, "diverged", ENGINE, "jax", {}, member.curve[: i + 1], seconds,
                epoch_seconds, error,
            )  # fmt: skip
    metrics = score_metrics(member.curve[last - 1], member.tests[last])
    return Outcome(trial, "ok", ENGINE, "jax", metrics, member.curve[:last], seconds, epoch_seconds)
