"""The engine `vectorized`: configurations that share a program, trained together on one thread.

On the JAX backend a compiled Keras model's `train_step` is a pure function of its variables. A pack
is `jax.lax.scan`, over an epoch's batches, of `jax.vmap` of the traced step over its members'
stacked variables and the numbers in which they differ: see `tuning.packing.sameness`. All that the
user compiled stays: loss, metrics, regularizers, optimizer, layers with state.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tuning.compatibility.keras import fixed_rows
from tuning.engines.batches import Split, row_order
from tuning.engines.callbacks import (
    Ending,
    Following,
    StandIn,
    Variables,
    described,
    made_callbacks,
    refuse_unpacked,
    sets_rates,
    with_own_paths,
)
from tuning.engines.fit import evaluated, fit_on, seconds_a_step
from tuning.engines.foreign import reason
from tuning.engines.keeping import Keeper
from tuning.engines.kept import looked, named
from tuning.engines.models import compiled_model
from tuning.engines.nudge import nudged
from tuning.engines.parts import Sizes, shapes_of
from tuning.engines.program import Program, State
from tuning.engines.reports import Report, Reporter
from tuning.engines.row_weights import Weigh, digest_of, numbered, weigh_of
from tuning.engines.saving import trained_model
from tuning.engines.scores import divergence, score_metrics, shortest_float32
from tuning.engines.scoring import adds_up
from tuning.engines.weights import Weights
from tuning.errors import first_line
from tuning.packing.axes import UNPACKED, Packing
from tuning.packing.sameness import Steps, equal, steps_of
from tuning.packing.trace import Unproven
from tuning.problem.data import Data, n_samples
from tuning.problem.folds import folds_of, rows_of
from tuning.problem.problem import Problem
from tuning.problem.weighing import training_weights
from tuning.space.grid import Configuration
from tuning.space.recorded import Recorded
from tuning.trial import Outcome, Paused, Status, Trial, batch_size

ENGINE = "vectorized"
MOST_AT_ONCE = 64
COMPARED_SECONDS = 10.0  # of a pack's training, from which it is compared with `fit` if in doubt
NOT_RESTORED = Ending()
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
    paused : Paused, optional
        Where it goes on; at its beginning if there is none.
    fold : int, optional
        Which fold of the data validates it.
    callbacks : sequence of keras.callbacks.Callback
        Its own, of which each training has copies.
    following : Following, optional
        The copies of the training that is under way, if there are any.
    ends : dict of int to Ending
        What it leaves after so many epochs.
    """

    configuration: Configuration
    seed: int
    steps: Steps
    trials: list[Trial]
    curve: list[dict[str, float]] = field(default_factory=list)
    tests: dict[int, dict[str, float]] = field(default_factory=dict)
    epoch_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    paused: Paused | None = None
    fold: int | None = None
    callbacks: Sequence[Any] = ()
    following: Following | None = None
    ends: dict[int, Ending] = field(default_factory=dict)

    def begin(self, steps: int = 0) -> None:
        """Forget what was trained here, and go back to where it begins or goes on.

        Parameters
        ----------
        steps : int
            Batches of an epoch, for its callbacks.
        """
        paused = self.paused
        self.ends = {}
        if self.callbacks:
            own = copy.deepcopy(list(self.callbacks))
            self.following = Following(own, StandIn(self.steps.directions))
            self.following.begin(self.last, steps, paused.callbacks if paused else b"")
        self.curve = list(paused.curve) if paused else []
        self.epoch_seconds = list(paused.epoch_seconds) if paused else []
        self.tests = {}

    def trained(self, logs: dict[str, float]) -> None:
        """It was trained an epoch."""
        self.curve.append({name: shortest_float32(value) for name, value in logs.items()})
        if self.following and self.is_whole_here:
            self.ends[len(self.curve)] = self.following.ending()

    def _ends_here(self, trial: Trial) -> bool:
        return trial.epochs == len(self.curve) and _is_whole(trial)

    @property
    def ended(self) -> bool:
        """Whether a callback has ended it."""
        return self.following is not None and self.following.ended

    @property
    def is_over(self) -> bool:
        """Whether it is not trained any further."""
        return self.ended or len(self.curve) >= self.last

    @property
    def ending(self) -> Ending:
        """What it leaves if it ends here."""
        return self.ends.get(len(self.curve), NOT_RESTORED)

    @property
    def is_whole_here(self) -> bool:
        """Whether one of its trials ends here as its configuration says."""
        return not self.error and (self.ended or any(map(self._ends_here, self.trials)))

    @property
    def error(self) -> str:
        """What a callback raised, as one line."""
        return self.following.error if self.following else ""

    @property
    def rows(self) -> tuple[int, int | None]:
        """What members have in common that read the same rows in the same order."""
        return self.seed, self.fold

    @property
    def start(self) -> int:
        """The epochs it was trained before."""
        return self.paused.epochs if self.paused else 0

    @property
    def begun(self) -> Steps:
        """What its model does, and the variables that it begins with here."""
        if self.paused is None:
            return self.steps
        metrics = self.steps.state[sum(self.steps.sizes[:3]) :]
        return replace(self.steps, state=[*self.paused.variables, *metrics])

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
    going_on: Mapping[Hashable, Paused] | None = None,
    pauses: bool = False,
    deadline: float = math.inf,
    folder: str = "",
) -> Iterator[Report]:
    """Train configurations that are expected to share a program.

    A trial's outcome depends on problem, configuration and seed, to the rounding of floating-point
    sums, whoever else is in the pack.

    Every configuration's model is built and traced before it is trained, and those whose traces
    agree are trained together. One that does not build fails alone; one that cannot be proven to
    be like others, or not be vectorized, trains by `fit`.

    Training goes on from a paused state if the model that was traced, its numbers and its initial
    variables are those that the state was trained from; else it begins anew. Either way the outcome
    is the same.

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
    going_on : mapping of key to Paused, optional
        States of earlier trainings, by `Packing.trajectory_of`.
    pauses : bool
        Whether the last report has the states of all that ended well.
    deadline : float
        In seconds of `time.perf_counter`: what is not finished then is stopped after its epoch.
    folder : str
        The run's directory, for files that callbacks write.

    Yields
    ------
    Report
        Every few seconds, and at the end; together they have an outcome of each trial. One that
        takes its result early in its trajectory is reported then.
    """
    started = time.perf_counter()
    reporter = Reporter(keeper, trials)
    data = numbered(problem, data)
    task = Task(problem, data, packing, nudge, keeper, going_on or {}, pauses, deadline, folder)
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
        for same in _by_start(task, _once(members)).values():
            left = [member for member in same if not _tell_ended(task, member, reporter)]
            if left:
                yield from _train(task, left, reporter)
            if reporter.due:
                yield reporter.report()
    for trial, why in (each for each in others if not isinstance(each, Outcome)):
        afresh = replace(task, going_on={}, pauses=False)  # it may keep more than its variables
        yield from _by_fit(afresh, [trial], why, reporter)
    yield reporter.report(last=True)


def try_out(
    problem: Problem, data: Data, configuration: Configuration, seed: int
) -> tuple[tuple[str, ...], tuple[int, float]]:
    """Go through a training of a pack of two without compiling it.

    Returns
    -------
    tuple of str
        Operations that may take longer in a pack than by themselves.
    tuple of (int, float)
        How many operations of a step are computed once a row, and their share of its arithmetic.

    Raises
    ------
    Exception
        If the model cannot be vectorized: what JAX or Keras says of it.
    """
    fold = 0 if folds_of(data) else None
    members = [
        Member(
            configuration, each, look_at(problem, data, configuration, each, fold), [], fold=fold
        )
        for each in (seed, seed + 1)
    ]
    program = program_of(Task(problem, numbered(problem, data), UNPACKED), members, dry=True)
    program.trace()
    prefix = program.prefixes.get("train")
    return program.doubtful, (prefix.operations, prefix.share) if prefix else (0, 0.0)


@dataclass(frozen=True)
class Task:
    """The problem, data and packing that all members of a task share."""

    problem: Problem
    data: Data
    packing: Packing
    nudge: bool = False
    keeper: Keeper | None = None
    going_on: Mapping[Hashable, Paused] = field(default_factory=dict)
    pauses: bool = False
    deadline: float = math.inf
    folder: str = ""

    @property
    def is_late(self) -> bool:
        """Whether to stop after this epoch."""
        return time.perf_counter() >= self.deadline


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
        groups.setdefault(task.packing.trajectory_of(trial), []).append(trial)
    return list(groups.values())


def _looks(
    task: Task, trials: list[Trial], twice: bool
) -> Iterator[Member | Outcome | tuple[Trial, str]]:
    """A trajectory's trials as members, as outcomes of what does not build, or for `fit` and why.

    Where `build_model` reads the epochs, trials meant for others are members of their own.
    """
    left = list(trials)
    while left:
        trial = left[0]
        if task.is_late:
            yield Outcome(left.pop(0), "stopped", ENGINE, "jax")
            continue
        try:
            steps, read = _look_or_remember(task, trial, twice)
            callbacks = made_callbacks(task.problem, trial.configuration)
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
        own, left = left, []
        if "epochs" in read:
            left = [each for each in own if each.meant != trial.meant]
            own = [each for each in own if each.meant == trial.meant]
        with_own_paths(callbacks, task.folder, max(own, key=lambda each: each.epochs))
        configuration = dict(trial.configuration)
        yield Member(configuration, trial.seed, steps, own, fold=trial.fold, callbacks=callbacks)


def _look_or_remember(task: Task, trial: Trial, twice: bool) -> tuple[Steps, Set[str]]:
    """What a trial's model does, and which axes it read."""
    configuration = Recorded(task.problem.space.values(trial.configuration))
    drawn = task.packing.drawn
    weights = training_weights(task.problem, task.data, configuration, trial.fold)

    def look() -> tuple[Steps, Set[str]]:
        steps = look_at(
            task.problem, task.data, configuration, trial.seed, trial.fold, drawn=drawn, twice=twice
        )
        return steps, configuration.read

    try:
        key = named(trial.configuration), trial.seed, drawn, digest_of(weights)
    except TypeError:
        return look()
    return looked(task.problem, task.data, key, look)


def look_at(
    problem: Problem,
    data: Data,
    configuration: Configuration,
    seed: int,
    fold: int | None = None,
    *,
    drawn: bool = False,
    twice: bool = False,
    like: Steps | None = None,
) -> Steps:
    """Build a configuration's model and trace what it does with the sizes of its first batches.

    Parameters
    ----------
    fold : int, optional
        Whose rows are counted where rows weigh by their class; all unless told.
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
    data, weigh = numbered(problem, data), weigh_of(problem, data, configuration, fold)
    model = compiled_model(problem, configuration, seed, drawn)
    scored_rows, rows = fixed_rows(model), batch_size(configuration)
    if like is not None and scored_rows is None:
        scored_rows = like.scored_rows

    def traced(scored_rows: int | None) -> tuple[Steps, int]:
        sizes = Sizes.of(data, rows, scored_rows)
        batch, scored = shapes_of(data, "train", sizes.train[0]), shapes_of(data, *sizes.scored[0])
        return steps_of(model, batch, scored, twice=twice, weigh=weigh), sizes.scored[0][1]

    steps, at_once = traced(scored_rows)
    refuse_unpacked(made_callbacks(problem, configuration), steps.rate is not None)
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
        key = (*member.rows, described(member.callbacks), *numbers)
        others = alike.setdefault(key, [])
        same = next((other for other in others if equal(member.steps, other.steps)), None)
        if same is None:
            others.append(member)
            kept.append(member)
        else:
            same.trials += member.trials
            same.seconds += member.seconds
    return kept


def _by_start(task: Task, members: list[Member]) -> dict[int, list[Member]]:
    """The members by the epochs that they were trained before, their states found."""
    groups: dict[int, list[Member]] = {}
    for member in members:
        known = (task.going_on.get(task.packing.trajectory_of(trial)) for trial in member.trials)
        first = min(trial.epochs for trial in member.trials)
        near = [
            paused
            for paused in known
            if paused is not None and paused.epochs < first + (paused.ended is not None)
        ]
        origin = member.steps.origin if near else ""
        member.paused = next((paused for paused in near if paused.origin == origin), None)
        groups.setdefault(member.start, []).append(member)
    return groups


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
    trials = [trial for member in members for trial in member.trials]
    yield from _by_fit(task, trials, why, reporter)


def _by_fit(task: Task, trials: list[Trial], why: str, reporter: Reporter) -> Iterator[Report]:
    """Train by `fit` the trials that were not reported yet, and say why."""
    for trial in trials:
        if trial.key not in reporter.told:
            key = task.packing.trajectory_of(trial)
            fitted = fit_on(
                task.problem,
                task.data,
                trial,
                why,
                nudge=task.nudge,
                keeper=task.keeper,
                paused=task.going_on.get(key),
                pauses=task.pauses,
                deadline=task.deadline,
                folder=task.folder,
            )
            reporter.add([fitted.outcome], fitted.epoch_seconds)
            if fitted.paused is not None:
                reporter.pause(key, fitted.paused)
            if reporter.due:
                yield reporter.report()


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def program_of(task: Task, members: list[Member], *, dry: bool = False) -> Program:
    """The program that the members share; `dry` if it is only to be traced."""

    def again(i: int, batch: Any, scored: Any) -> Steps:
        own = members[i]
        model = compiled_model(task.problem, own.configuration, own.seed, task.packing.drawn)
        return steps_of(model, batch, scored, weigh=_weigh(task, own))

    trials = [trial for member in members for trial in member.trials]
    return Program(
        [member.begun for member in members],
        again,
        task.data,
        batch_size(members[0].configuration),
        epochs=sum(member.last - member.start for member in members if member.trials),
        problem=task.problem,
        tests=not trials or any(map(_is_whole, trials)) or any(each.callbacks for each in members),
        apart=len({member.rows for member in members}) > 1,
        folds=[member.fold for member in members if member.fold is not None],
        own=_set_apart(members),
        dry=dry,
    )


def _weigh(task: Task, member: Member) -> Weigh | None:
    return weigh_of(task.problem, task.data, member.configuration, member.fold)


def _set_apart(members: list[Member]) -> list[int]:
    """The variables that callbacks may set for a member by itself: weights and learning rates."""
    if not any(member.callbacks for member in members):
        return []
    rates = {_rate(member) for member in members if sets_rates(member.callbacks)}
    return [*range(members[0].steps.sizes[0]), *sorted(rates)]


def _rate(member: Member) -> int:
    """Where the learning rate of its optimizer is."""
    assert member.steps.rate is not None
    return member.steps.rate


def _run(task: Task, members: list[Member], at_once: int, reporter: Reporter) -> Iterator[Report]:
    """Train all members, a block at a time, epoch by epoch."""
    started = time.perf_counter()
    order = sorted(members, key=lambda member: -member.last)
    program = program_of(task, order)
    epochs = order[0].last - order[0].start
    blocks = program.blocks(len(order), at_once, epochs, pauses=task.pauses)
    states = [program.start(block) for block in blocks]
    for member in members:
        member.begin(program.n_steps)
        reporter.add(_outcome(member, trial) for trial in member.trials if member.error)
        member.seconds += (time.perf_counter() - started) / len(members)
    for epoch in range(order[0].start, order[0].last):
        begun = time.perf_counter()
        rows = {each: _rows(task.data, *each, epoch) for each in {own.rows for own in order}}
        if not program.apart:
            batches = program.batches(list(rows.values()))
        shuffling = (time.perf_counter() - begun) / len(members)
        for i, block in enumerate(blocks):
            own = [order[k] for k in dict.fromkeys(block)]
            if all(member.is_over for member in own):
                continue
            if task.is_late:
                _stop(task, program, order, states, reporter)
                return
            begun, compiled = time.perf_counter(), program.compile_seconds
            if program.apart:
                batches = program.batches([rows[order[k].rows] for k in block], block)
            places = [Place(task, program, states[i], j, each) for j, each in enumerate(own)]
            places = _an_epoch(places, epoch, batches)
            states[i] = places[0].state
            took = time.perf_counter() - begun
            program.took(len(block), took - (program.compile_seconds - compiled))
            share = took / len(places) + shuffling
            for place in places:
                place.member.epoch_seconds.append(share)
                _tell(task, place, reporter)
            if (epoch, i) == (own[0].start + 1, 0):  # the first epoch has compiled the program
                more = sum(max(0, member.last - epoch - 1) for member in members) * share
                _compare_with_fit(task, program, own[0], more)
            if reporter.due:
                yield reporter.report()


def _an_epoch(places: Sequence[Place], epoch: int, batches: Any) -> list[Place]:
    """Train a block an epoch: where the variables are now of those that were not over before it."""
    import jax

    program, state = places[0].program, places[0].state
    places = [place for place in places if not place.member.is_over]
    for place in places:
        if place.member.following:
            place.member.following.epoch_begins(epoch, place.variables)
    state, logs = program.epoch(state, batches)
    logs = jax.device_get(logs)
    places = [replace(place, state=state) for place in places]
    for place in places:
        place.member.trained(_with_callbacks(place, epoch, logs))
    _test(program, state, places)
    return places


def _rows(data: Data, seed: int, fold: int | None, epoch: int) -> np.ndarray:
    """The numbers of the rows that train, in the order of an epoch."""
    own = rows_of(data, "train", fold)
    if own is None:
        return row_order(seed, epoch, n_samples(data["train"]))
    return np.take(own, row_order(seed, epoch, len(own)))


@dataclass(frozen=True)
class Place:
    """Where the variables of a member are: in a block's state, at a place."""

    task: Task
    program: Program
    state: State
    j: int
    member: Member

    @property
    def variables(self) -> Variables:
        """What the member's callbacks read and set."""
        program, state, j = self.program, self.state, self.j
        return Variables(
            get=lambda: program.weights(state, j),
            rate=lambda: program.value(state, _rate(self.member), j),
            set_rate=lambda value: program.set_value(state, _rate(self.member), j, value),
            model=lambda: self.model(NOT_RESTORED, optimizer=True),
        )

    def weights(self, ending: Ending) -> Weights:
        """The weights as after the last epoch, or as the member restores them."""
        values = self.program.weights(self.state, self.j)
        return _weights_of(values, self.member.steps, ending)

    def model(self, ending: Ending, *, optimizer: bool) -> Any:
        """A compiled model with these weights, not finished as `fit` does behind the last epoch."""
        task, trial = self.task, self.member.trials[0]
        weights = replace(self.weights(ending), finished=True)
        return trained_model(task.problem, task.data, trial, weights, optimizer=optimizer)


def _with_callbacks(place: Place, epoch: int, logs: Mapping[str, Any]) -> dict[str, float]:
    """A member's logs of an epoch, once its callbacks have seen and perhaps added to them."""
    own = {name: float(np.float32(values[place.j])) for name, values in logs.items()}
    if place.member.following is None:
        return own
    return place.member.following.epoch_ends(epoch, own, place.variables)


def _test(program: Program, state: State, places: Sequence[Place]) -> None:
    """Score on the test data the members that end here, with the weights that each leaves."""
    import jax

    ending = [place for place in places if place.member.is_whole_here]
    restored = {
        place.j: weights for place in ending if (weights := place.member.ending.weights) is not None
    }
    if restored and not program.finishes:
        state = program.with_weights(state, restored)
    scores = jax.device_get(program.test(state)) if ending else {}
    for place in ending if scores else ():
        tests = _of_member(scores, place.j)
        if place.j in restored and program.finishes:  # which changes no restored weights
            trial, model = place.member.trials[0], place.model(place.member.ending, optimizer=False)
            tests = evaluated(model, Split(place.task.data["test"]).batches(trial.batch_size))
        place.member.tests[len(place.member.curve)] = tests


def _tell_ended(task: Task, member: Member, reporter: Reporter) -> bool:
    """Report the trials of a member that a callback had ended before; whether it is such a one."""
    paused = member.paused
    if paused is None or paused.ended is None:
        return False
    member.begin()
    assert member.following is not None
    member.following.ended = True
    member.ends[len(member.curve)] = member.following.ending()
    member.tests[len(member.curve)] = paused.ended
    weights = functools.partial(_weights_of, paused.variables, member.steps, member.ending)
    reporter.add((_outcome(member, trial) for trial in member.trials), (), weights)
    for trial in member.trials if task.pauses else ():
        reporter.pause(task.packing.trajectory_of(trial), paused)
    return True


def _tell(task: Task, place: Place, reporter: Reporter) -> None:
    """Report an epoch of a member, and the trials that end with it."""
    member = place.member
    length = len(member.curve)
    finished = [
        trial
        for trial in member.trials
        if trial.epochs == length or (member.ended and trial.epochs > length)
    ]
    reporter.add(
        (_outcome(member, trial) for trial in finished),
        member.epoch_seconds[-1:],
        functools.partial(place.weights, member.ending),
    )
    if member.is_over:
        _pause(task, place, reporter)
        if member.following:
            member.following.close()


def _stop(
    task: Task,
    program: Program,
    members: Sequence[Member],
    states: Sequence[State],
    reporter: Reporter,
) -> None:
    """Tell how far all have come that are not finished."""
    for state in states:
        for j, member in enumerate(members[k] for k in dict.fromkeys(state.members)):
            if member.is_over:
                continue
            left = [trial for trial in member.trials if trial.epochs > len(member.curve)]
            reporter.add(_outcome(member, trial) for trial in left)
            _pause(task, Place(task, program, state, j, member), reporter)
            if member.following:
                member.following.close()


def _pause(task: Task, place: Place, reporter: Reporter) -> None:
    """Have a member's state reported, if it is asked for and the member has not diverged."""
    member = place.member
    if not task.pauses or not member.curve or member.error or _diverged(member.curve):
        return
    paused = Paused(
        len(member.curve),
        place.program.weights(place.state, place.j),
        list(member.curve),
        list(member.epoch_seconds),
        member.steps.origin,
        member.following.state if member.following else b"",
        member.tests.get(len(member.curve), {}) if member.ended else None,
    )
    for trial in member.trials:
        reporter.pause(task.packing.trajectory_of(trial), paused)


def _diverged(curve: Sequence[Mapping[str, float]]) -> bool:
    return any(divergence(logs, i + 1) for i, logs in enumerate(curve))


def _is_whole(trial: Trial) -> bool:
    """Whether a trial is trained as long as its configuration says."""
    return trial.epochs >= trial.meant


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
    weigh = _weigh(task, member)
    batch = program.example if weigh is None else weigh(program.example)
    ours, theirs = (member.epoch_seconds[-1] / program.n_steps, seconds_a_step(model, batch))
    if theirs * FASTER < ours:
        raise SlowerThanFit(
            f"it is faster, {theirs * 1e3:.2g} ms a step on JAX in place of {ours * 1e3:.2g} "
            f"packed; operations that are slow in a pack: {', '.join(program.doubtful)}"
        )


def _weights_of(values: Sequence[np.ndarray], steps: Steps, ending: Ending) -> Weights:
    """The weights among variables, or those that are restored in their place."""
    trainable, stop = steps.sizes[0], steps.sizes[0] + steps.sizes[1]
    kept = values if ending.weights is None else ending.weights
    paths, finished = steps.paths[trainable:stop], ending.weights is not None
    return Weights(kept[:trainable], kept[trainable:stop], values[stop:], paths, finished)


def _of_member(scores: Mapping[str, Any], i: int) -> dict[str, float]:
    """The scores of the i-th member of a block."""
    return {name: shortest_float32(values[i]) for name, values in scores.items()}


def _outcome(member: Member, trial: Trial) -> Outcome:
    """The trial's part of its trajectory, billed only for epochs beyond the next shorter trial."""
    if member.error:
        return Outcome(trial, "failed", ENGINE, "jax", error=member.error)
    last = min(trial.epochs, len(member.curve))
    shorter = max((each.epochs for each in member.trials if each.epochs < trial.epochs), default=0)
    sharing = sum(each.epochs == trial.epochs for each in member.trials)
    curve, epoch_seconds = member.curve[:last], member.epoch_seconds[:last]
    seconds = sum(epoch_seconds[max(shorter, member.start) :])
    seconds = (seconds + (member.seconds if shorter == 0 else 0.0)) / sharing
    for i, logs in enumerate(curve):
        if error := divergence(logs, i + 1):
            return Outcome(
                trial, "diverged", ENGINE, "jax", {}, curve[: i + 1], seconds, epoch_seconds, error,
            )  # fmt: skip
    whole = (last == trial.epochs and _is_whole(trial)) or member.ended
    best = member.ends.get(last, NOT_RESTORED).epoch if whole else None
    tests = member.tests.get(last, {}) if whole else {}
    metrics = score_metrics(curve[-1 if best is None else best], tests) if curve else {}
    status: Status = "ok" if whole else "stopped"
    return Outcome(trial, status, ENGINE, "jax", metrics, curve, seconds, epoch_seconds)
