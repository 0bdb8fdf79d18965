"""The engine `vectorized`: configurations that share a program, trained together on one thread.

On the JAX backend a compiled Keras model's `train_step` is a pure function of its variables. A pack
is `jax.lax.scan`, over an epoch's batches, of `jax.vmap(model.train_step)` over its members'
stacked variables, with the numbers in which they differ as one more argument. All that the user
compiled stays: loss, metrics, regularizers, optimizer, layers with state.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuning.errors import first_line
from tuning.grid import Configuration
from tuning.packing import Blueprint, Packing, blueprint
from tuning.problem import Data, Problem, batch_size, epochs, n_samples
from tuning.training.batches import row_order
from tuning.training.fit import compiled_model, fit, score_metrics
from tuning.training.outcome import Outcome, divergence, shortest_float32
from tuning.training.program import Program
from tuning.training.reports import Report, Reporter

ENGINE = "vectorized"
MOST_AT_ONCE = 64
TIDY_SECONDS = 10.0  # a pack that took longer is worth 0.3 s of freeing what it left


@dataclass
class Member:
    """A trajectory: configurations that differ only in how long they are trained.

    Attributes
    ----------
    trials : dict of int to int
        The epochs at which each grid index takes its result.
    numbers : dict of str to float
        What it has at the places of the model.
    curve : list of dict of str to float
        Keras' logs of each epoch.
    tests : dict of int to dict of str to float
        The test scores after so many epochs.
    epoch_seconds : list of float
        Its share of the time of each epoch.
    seconds : float
        Its share of all other time.
    """

    trials: dict[int, int]
    numbers: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    tests: dict[int, dict[str, float]] = field(default_factory=dict)
    epoch_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def last(self) -> int:
        """The epochs it is trained."""
        return max(self.trials.values())


def train_pack(
    problem: Problem, data: Data, trials: Sequence[int], seed: int, packing: Packing
) -> Iterator[Report]:
    """Train configurations of one program together.

    A trial's outcome depends on problem, configuration and seed, to the rounding of floating-point
    sums: initial weights, order of the rows and noise are those of the program's model, whoever
    else is in the pack.

    Every configuration's model is built and compared before it is trained; one that does not build
    fails alone, one that is not what `packing` says trains alone, and whatever cannot be
    vectorized trains by `fit`.

    Parameters
    ----------
    problem : Problem
    data : dict
        As `problem.load_data` returned it, checked.
    trials : sequence of int
        Grid indices with one `packing.program`.
    seed : int
    packing : Packing
        As `tuning.packing.discover` returned it.

    Yields
    ------
    Report
        Every few seconds, and at the end; together they have an outcome of each trial. One that
        takes its result early in its trajectory is reported then.
    """
    import jax

    started = time.perf_counter()
    reporter = Reporter()
    built_with = packing.built_with(problem.grid[trials[0]])
    alone: list[int] = []
    members: list[Member] = []
    reference = _reference(problem, built_with, seed)
    for group in _trajectories(problem, trials, packing):
        numbers = _numbers(problem, group, reference, seed)
        if numbers is None:
            alone += group
        else:
            members.append(Member(group, numbers))
    if members:
        yield from _train(_Task(problem, data, built_with, seed, started), members, reporter)
        yield reporter.report()
    for trial in alone:
        task = _Task(problem, data, problem.grid[trial], seed, time.perf_counter())
        try:
            own = _look(problem, task.built_with, seed)
        except Exception as error:
            reporter.add([_failed(trial, seed, error)])
        else:
            lone = Member({trial: epochs(task.built_with)}, own.numbers)
            yield from _train(task, [lone], reporter)
    if time.perf_counter() - started > TIDY_SECONDS:
        jax.clear_caches()
        gc.collect()
    yield reporter.report()


def trace(problem: Problem, data: Data, configuration: Configuration, seed: int) -> None:
    """Trace a training step of the configuration's program without compiling it.

    Raises
    ------
    Exception
        If the model cannot be vectorized: what JAX or Keras says of it.
    """
    Program(compiled_model(problem, configuration, seed), data, batch_size(configuration)).trace()


def _trajectories(
    problem: Problem, trials: Iterable[int], packing: Packing
) -> list[dict[int, int]]:
    """The trials by trajectory, each with its epochs."""
    groups: dict[tuple[Any, ...], dict[int, int]] = {}
    for trial in trials:
        configuration = problem.grid[trial]
        key = packing.trajectory(configuration)
        groups.setdefault(key, {})[trial] = epochs(configuration)
    return list(groups.values())


def _reference(problem: Problem, built_with: Configuration, seed: int) -> Blueprint | None:
    """The blueprint of the program's own model; None if that does not build."""
    try:
        return _look(problem, built_with, seed)
    except Exception:
        return None


def _look(problem: Problem, configuration: Configuration, seed: int) -> Blueprint:
    return blueprint(lambda chosen: compiled_model(problem, chosen, seed), configuration)


def _numbers(
    problem: Problem, trials: Iterable[int], reference: Blueprint | None, seed: int
) -> dict[str, float] | None:
    """What a trajectory has at the places of the program's model; None if it is of another.

    Where `build_model` reads the epochs, the models of all its trials are looked at, else one.
    """
    if reference is None:
        return None
    first = None
    for trial in trials:
        try:
            look = _look(problem, problem.grid[trial], seed)
        except Exception:
            return None
        first = first or look
        if not _is_of(reference, look, first):
            return None
        if "epochs" not in look.read | reference.read:
            break
    return first.numbers if first else None


def _is_of(reference: Blueprint, look: Blueprint, first: Blueprint) -> bool:
    """Whether a model is the program's, with the numbers its trajectory has."""
    return (
        not look.unproven
        and look.fingerprint == reference.fingerprint
        and look.numbers == first.numbers
        and all(value == 0 or name in reference.draws for name, value in look.numbers.items())
    )


@dataclass(frozen=True)
class _Task:
    """What a group of members is trained with."""

    problem: Problem
    data: Data
    built_with: Configuration
    seed: int
    started: float


def _train(task: _Task, members: list[Member], reporter: Reporter) -> Iterator[Report]:
    """Train the members, or have `fit` train what cannot be vectorized."""
    at_once = MOST_AT_ONCE
    while True:
        try:
            yield from _run(task, members, at_once, reporter)
            return
        except Exception as error:
            if at_once == 1 or len(members) == 1 or not _is_out_of_memory(error):
                break
            at_once = math.ceil(min(at_once, len(members)) / 2)
        for member in members:
            member.curve, member.tests, member.epoch_seconds = [], {}, []
    for trial in (trial for member in members for trial in member.trials):
        if trial not in reporter.told:
            outcome = fit(task.problem, task.data, trial, task.seed)
            reporter.add([outcome], outcome.epoch_seconds)
            if reporter.due:
                yield reporter.report()


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _run(task: _Task, members: list[Member], at_once: int, reporter: Reporter) -> Iterator[Report]:
    """Train all members, a block at a time, epoch by epoch."""
    import jax

    program = Program(
        compiled_model(task.problem, task.built_with, task.seed),
        task.data,
        batch_size(task.built_with),
        sum(member.last for member in members),
    )
    train = program.rows(task.data["train"])
    order = sorted(members, key=lambda member: -member.last)
    size = program.block_size(len(order), at_once)
    blocks = [order[i : i + size] for i in range(0, len(order), size)]
    states = [program.start([member.numbers for member in block]) for block in blocks]
    for member in members:
        member.seconds = (time.perf_counter() - task.started) / len(members)
    for epoch in range(order[0].last):
        begun = time.perf_counter()
        rows = row_order(task.seed, epoch, n_samples(train[0]))
        batches = program.batches(train, rows)
        shuffling = (time.perf_counter() - begun) / len(members)
        for i, block in enumerate(blocks):
            if block[0].last <= epoch:
                continue
            begun = time.perf_counter()
            states[i], logs = program.epoch(states[i], batches)
            tested = any(epoch + 1 in member.trials.values() for member in block)
            tests = program.test(states[i]) if tested else {}
            logs, tests = jax.device_get((logs, tests))
            share = (time.perf_counter() - begun) / len(block) + shuffling
            for j, member in enumerate(block):
                if epoch < member.last:
                    member.curve.append(_of_member(logs, j))
                    member.epoch_seconds.append(share)
                    finished = [trial for trial, n in member.trials.items() if n == epoch + 1]
                    if finished:
                        member.tests[epoch + 1] = _of_member(tests, j)
                    reporter.add((_outcome(member, t, task.seed) for t in finished), [share])
            if reporter.due:
                yield reporter.report()


def _of_member(scores: Mapping[str, Any], i: int) -> dict[str, float]:
    """The scores of the i-th member of a block."""
    return {name: shortest_float32(values[i]) for name, values in scores.items()}


def _outcome(member: Member, trial: int, seed: int) -> Outcome:
    """The trial's part of its trajectory; it is charged the epochs that no shorter one is."""
    last = member.trials[trial]
    shorter = max((n for n in member.trials.values() if n < last), default=0)
    epoch_seconds = member.epoch_seconds[:last]
    seconds = sum(epoch_seconds[shorter:]) + (member.seconds if shorter == 0 else 0.0)
    for i, logs in enumerate(member.curve[:last]):
        if error := divergence(logs, i + 1):
            return Outcome(
                trial, seed, "diverged", ENGINE, "jax", {}, member.curve[: i + 1], seconds,
                epoch_seconds, error,
            )  # fmt: skip
    metrics = score_metrics(member.curve[last - 1], member.tests[last])
    return Outcome(
        trial, seed, "ok", ENGINE, "jax", metrics, member.curve[:last], seconds, epoch_seconds
    )


def _failed(trial: int, seed: int, error: Exception) -> Outcome:
    return Outcome(trial, seed, "failed", ENGINE, "jax", error=first_line(error))
