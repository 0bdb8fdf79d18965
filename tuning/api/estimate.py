"""The time that a whole grid would take: a few configurations timed, the rest by arithmetic.

Of a space that is no grid it is that of a random search of `DRAWN` configurations.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rich.table import Table

from tuning.api.search import Trainer
from tuning.errors import TuningError, shortened
from tuning.execution.loop import train_all
from tuning.problem.problem import Problem, epochs_of
from tuning.report.terminal import duration, new_table
from tuning.samplers import RandomSampler, every_trial, trial_at, trial_of
from tuning.space.grid import Grid
from tuning.space.parameters import Float, Int, Parameter
from tuning.space.space import Space, conditions_text
from tuning.trial import Trial, point_of

TIMED = 8
DRAWN = 100  # configurations of a space without a size
UNITS = (("seconds", 1), ("minutes", 60), ("hours", 3600), ("days", 86400))


@dataclass(frozen=True)
class Estimate:
    """The cost of training every configuration of a grid once, or so many draws of a space.

    Attributes
    ----------
    space : Space
    epoch_seconds : list of float
        Seconds an epoch took on one CPU thread, for each configuration timed.
    start_seconds : float
        Seconds a start takes besides its epochs: building, compiling, scoring.
    starts, trained_epochs : int
        Of all of these: their programs and the epochs of their trajectories; if no two trials share
        a program, the trials and their epochs.
    drawn : list of Trial
        Of a space that is no grid, those that it is about.
    copies : int
        Trainings of each configuration, on folds and with seeds.
    """

    space: Space
    epoch_seconds: list[float]
    start_seconds: float
    starts: int
    trained_epochs: int
    drawn: list[Trial] = field(default_factory=list)
    copies: int = 1

    @property
    def configurations(self) -> int:
        """The number of configurations."""
        return self.space.size if isinstance(self.space, Grid) else len(self.drawn)

    @property
    def epochs(self) -> int:
        """The epochs of all configurations together."""
        if isinstance(self.space, Grid):
            return total_epochs(self.space) * self.copies
        return sum(trial.epochs for trial in self.drawn) * self.copies

    @property
    def what(self) -> str:
        """All that it is about, in words."""
        if isinstance(self.space, Grid):
            return "whole grid"
        return f"{self.configurations:,} random configurations"

    @property
    def seconds(self) -> float:
        """Seconds for all of it on one CPU thread."""
        each = float(np.mean(self.epoch_seconds))
        return self.trained_epochs * each + self.starts * self.start_seconds


def total_epochs(grid: Grid) -> int:
    """The epochs of all configurations of a grid together."""
    values = epochs_of(grid)
    return grid.size // len(values) * sum(values)


def drawn_trials(space: Space, seed: int) -> list[Trial]:
    """The trials of a random search that an estimate of a space is about."""
    sampler = RandomSampler(space, int(min(DRAWN, space.size)), seed)
    return list(every_trial(sampler))


def timed_draws(space: Space, seed: int) -> list[Trial]:
    """The trials to time of a space that is no grid: random ones of the fewest epochs above one."""
    known: dict[str, Any] = {}
    if "epochs" in space.parameters:
        counts = sorted(epochs_of(space))
        known = {"epochs": next((n for n in counts if n > 1), counts[-1])}
    draws = [space.draw(random.Random(f"{seed} {i}"), known) for i in range(TIMED)]
    once = {point_of(each): each for each in draws}.values()
    return [trial_of(space, each, number, seed) for number, each in enumerate(once)]


def timed_trials(grid: Grid, seed: int) -> list[Trial]:
    """The trials of a grid to time: one a batch size, on which an epoch's time depends most.

    At most eight. The other axes are drawn at random; of epochs it is the fewest above one, as the
    first epoch, which compiles, is not timed.
    """
    generator = random.Random(seed)
    sizes = grid.axes.get("batch_size", (None,) * TIMED)
    chosen = [sizes[i * len(sizes) // TIMED] for i in range(TIMED)]
    chosen = list(dict.fromkeys(chosen)) if "batch_size" in grid.axes else chosen
    indices = []
    for size in chosen:
        configuration = {name: generator.choice(values) for name, values in grid.axes.items()}
        if "batch_size" in grid.axes:
            configuration["batch_size"] = size
        if "epochs" in grid.axes:
            counts = sorted(epochs_of(grid))
            configuration["epochs"] = next((n for n in counts if n > 1), counts[-1])
        indices.append(grid.index(configuration))
    return [trial_at(grid, i, number, seed) for number, i in enumerate(dict.fromkeys(indices))]


def estimate(executor: Trainer, problem: Problem, seed: int, copies: int = 1) -> Estimate:
    """Time a few configurations, each on one CPU thread.

    Parameters
    ----------
    executor : Trainer
    problem : Problem
    seed : int
    copies : int
        Trainings of each configuration, on folds and with seeds.

    Raises
    ------
    TuningError
        If none of them can be trained.
    """
    space = problem.space
    timing = timed_trials(space, seed) if isinstance(space, Grid) else timed_draws(space, seed)
    packs = executor.packer.split(timing)
    reports = train_all(executor, packs)
    outcomes = [outcome for report in reports for outcome in report.outcomes]
    timed = [outcome for outcome in outcomes if outcome.epoch_seconds]
    if not timed:
        raise TuningError(
            f"no epoch of problem {problem.name!r} could be timed: "
            f"{shortened(outcomes[0].error, 200)}"
        )
    epochs = [
        float(np.median(outcome.epoch_seconds[1:] or outcome.epoch_seconds)) for outcome in timed
    ]
    starts = [
        max(0.0, outcome.seconds - len(outcome.epoch_seconds) * epoch)
        for outcome, epoch in zip(timed, epochs, strict=True)
    ]
    packing = executor.packer.packing
    drawn = [] if isinstance(space, Grid) else drawn_trials(space, seed)
    found = Estimate(space, epochs, float(np.mean(starts)), 0, 0, drawn, copies)
    if packing.reason:
        return replace(found, starts=found.configurations * copies, trained_epochs=found.epochs)
    if isinstance(space, Grid):
        n_starts, _, trained = packing.count(space)
    else:
        n_starts, _, trained = packing.count_of([trial.configuration for trial in drawn])
    return replace(found, starts=n_starts, trained_epochs=trained * copies)


def values_text(parameter: Parameter) -> str:
    """The values of a hyperparameter in a table, and where it exists."""
    ranged = isinstance(parameter, Float | Int)
    text = parameter.range_text() if ranged else ", ".join(map(str, parameter.values or ()))
    return f"{text} ({conditions_text(parameter)})" if parameter.conditions else text


def number_of_values(parameter: Parameter) -> str:
    """How many values a hyperparameter has, in a table."""
    return "any" if parameter.values is None else f"{len(parameter.values):,}"


def estimate_tables(found: Estimate, workers: int) -> list[Table]:
    """The estimate as two tables: the axes, then the sums, in seconds to days."""
    axes = new_table("axis", "values", "number", prose=["values"])
    for name, parameter in found.space.parameters.items():
        axes.add_row(name, values_text(parameter), number_of_values(parameter))

    epoch = np.mean(found.epoch_seconds)
    spread = f"{min(found.epoch_seconds):.2f} to {max(found.epoch_seconds):.2f}"
    sums = new_table("", " ", prose=[""])
    sums.show_header = False
    sums.add_row("configurations", f"{found.configurations:,}")
    sums.add_row("epochs in all", f"{found.epochs:,}")
    if found.trained_epochs < found.epochs:
        sums.add_row("epochs to train, packed", f"{found.trained_epochs:,}")
        sums.add_row("programs to compile", f"{found.starts:,}")
    sums.add_row(
        f"seconds an epoch, one thread ({len(found.epoch_seconds)} timed: {spread})", f"{epoch:.3f}"
    )
    each = "program" if found.starts < found.configurations else "trial"
    sums.add_row(f"seconds a {each} besides", f"{found.start_seconds:.2f}", end_section=True)
    for unit, seconds in UNITS:
        sums.add_row(f"{found.what} on one thread, {unit}", f"{found.seconds / seconds:,.1f}")
    sums.add_row(
        f"{found.what} on {workers} worker{'s' if workers > 1 else ''}",
        duration(found.seconds / workers),
    )
    return [axes, sums]
