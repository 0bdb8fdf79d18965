"""The packing of a space, as tables: which axes share a program, and what that saves."""

from __future__ import annotations

from rich.table import Table

from tuning.api.estimate import drawn_trials, number_of_values, total_epochs
from tuning.packing.axes import Packing
from tuning.report.terminal import new_table
from tuning.space.grid import Grid
from tuning.space.space import Space

OF_KIND = {
    "structural": "changes the program",
    "lifted": "an input of the program",
    "fidelity": "free from the longest",
}


def said_of_frozen(packing: Packing) -> str:
    """What is computed once for each row of the data, in a sentence; nothing if nothing is."""
    operations, share = packing.once
    if not operations:
        return ""
    return (
        f"Part of the network is frozen: the first operations of a training step ({operations:,}, "
        f"with {share:.0%} of its arithmetic) are computed once for each row of the data."
    )


def explanation_tables(packing: Packing, space: Space) -> list[Table]:
    """The packing as two tables: each axis's kind and the reason, then the sums.

    These are of the whole grid; of another space, of a random search.
    """
    prose = ("", "what it changes")
    axes = new_table("axis", "values", "kind", *prose, left=["kind"], prose=prose)
    for name, axis in packing.axes.items():
        n = number_of_values(space.parameters[name])
        axes.add_row(name, n, axis.kind, OF_KIND[axis.kind], axis.why)

    if isinstance(space, Grid):
        what, size, total = "the whole grid", space.size, total_epochs(space)
        programs, trajectories, trained = packing.count(space)
    else:
        drawn = drawn_trials(space, seed=0)
        what, size = f"{len(drawn):,} random configurations", len(drawn)
        total = sum(trial.epochs for trial in drawn)
        configurations = [trial.configuration for trial in drawn]
        programs, trajectories, trained = packing.count_of(configurations)
    sums = new_table(what, "one by one", "packed", "saves")
    for name, alone, packed in (
        ("programs to compile", size, programs),
        ("trainings", size, trajectories),
        ("epochs to train", total, trained),
    ):
        sums.add_row(name, f"{alone:,}", f"{packed:,}", f"{1 - packed / alone:.1%}")
    return [axes, sums]
