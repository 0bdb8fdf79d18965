"""The time that the whole grid would take: a few configurations timed, the rest by arithmetic."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from tuning.api.search import Trainer
from tuning.errors import TuningError, shortened
from tuning.execution.loop import train_all
from tuning.problem.problem import Problem, epochs_of
from tuning.report.terminal import duration, new_table
from tuning.samplers import trial_at
from tuning.space.grid import Grid
from tuning.trial import Trial

TIMED = 8
UNITS = (("seconds", 1), ("minutes", 60), ("hours", 3600), ("days", 86400))


@dataclass(frozen=True)
class Estimate:
    """The cost of training every configuration of a grid once.

    Attributes
    ----------
    grid : Grid
    epoch_seconds : list of float
        Seconds an epoch took on one CPU thread, for each configuration timed.
    start_seconds : float
        Seconds a start takes besides its epochs: building, compiling, scoring.
    starts, trained_epochs : int
        Of the whole grid: its programs and the epochs of their trajectories; if no two trials share
        a program, its trials and their epochs.
    """

    grid: Grid
    epoch_seconds: list[float]
    start_seconds: float
    starts: int
    trained_epochs: int

    @property
    def epochs(self) -> int:
        """The epochs of all configurations together."""
        return total_epochs(self.grid)

    @property
    def seconds(self) -> float:
        """Seconds for the whole grid on one CPU thread."""
        each = float(np.mean(self.epoch_seconds))
        return self.trained_epochs * each + self.starts * self.start_seconds


def total_epochs(grid: Grid) -> int:
    """The epochs of all configurations of a grid together."""
    values = epochs_of(grid)
    return grid.size // len(values) * sum(values)


def timed_trials(grid: Grid, seed: int) -> list[Trial]:
    """The trials to time: one for each batch size, on which an epoch's time depends most.

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


def estimate(executor: Trainer, problem: Problem, seed: int) -> Estimate:
    """Time a few configurations, each on one CPU thread.

    Raises
    ------
    TuningError
        If none of them can be trained.
    """
    grid = problem.grid
    packs = executor.packer.split(timed_trials(grid, seed))
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
    if packing.reason:
        n_starts, trained = grid.size, total_epochs(grid)
    else:
        n_starts, _, trained = packing.count(grid)
    return Estimate(grid, epochs, float(np.mean(starts)), n_starts, trained)


def estimate_tables(found: Estimate, workers: int) -> list[Table]:
    """The estimate as two tables: the axes, then the sums, in seconds to days."""
    axes = new_table("axis", "values", "number", prose=["values"])
    for name, values in found.grid.axes.items():
        axes.add_row(name, ", ".join(map(str, values)), f"{len(values):,}")

    epoch = np.mean(found.epoch_seconds)
    spread = f"{min(found.epoch_seconds):.2f} to {max(found.epoch_seconds):.2f}"
    sums = new_table("", " ", prose=[""])
    sums.show_header = False
    sums.add_row("configurations", f"{found.grid.size:,}")
    sums.add_row("epochs in all", f"{found.epochs:,}")
    if found.trained_epochs < found.epochs:
        sums.add_row("epochs to train, packed", f"{found.trained_epochs:,}")
        sums.add_row("programs to compile", f"{found.starts:,}")
    sums.add_row(
        f"seconds an epoch, one thread ({len(found.epoch_seconds)} timed: {spread})", f"{epoch:.3f}"
    )
    each = "program" if found.starts < found.grid.size else "trial"
    sums.add_row(f"seconds a {each} besides", f"{found.start_seconds:.2f}", end_section=True)
    for unit, seconds in UNITS:
        sums.add_row(f"whole grid on one thread, {unit}", f"{found.seconds / seconds:,.1f}")
    sums.add_row(
        f"whole grid on {workers} worker{'s' if workers > 1 else ''}",
        duration(found.seconds / workers),
    )
    return [axes, sums]
