"""The packing of a grid, as tables: which axes share a program, and what that saves."""

from __future__ import annotations

from rich.table import Table

from tuning.api.estimate import total_epochs
from tuning.packing.axes import Packing
from tuning.report.terminal import new_table
from tuning.space.grid import Grid

OF_KIND = {
    "structural": "changes the program",
    "lifted": "an input of the program",
    "fidelity": "free from the longest",
}


def explanation_tables(packing: Packing, grid: Grid) -> list[Table]:
    """The packing as two tables: each axis's kind and the reason, then the grid's sums."""
    prose = ("", "what it changes")
    axes = new_table("axis", "values", "kind", *prose, left=["kind"], prose=prose)
    for name, axis in packing.axes.items():
        n = f"{len(grid.axes[name]):,}"
        axes.add_row(name, n, axis.kind, OF_KIND[axis.kind], axis.why)

    programs, trajectories, trained = packing.count(grid)
    sums = new_table("the whole grid", "one by one", "packed", "saves")
    for name, alone, packed in (
        ("programs to compile", grid.size, programs),
        ("trainings", grid.size, trajectories),
        ("epochs to train", total_epochs(grid), trained),
    ):
        sums.add_row(name, f"{alone:,}", f"{packed:,}", f"{1 - packed / alone:.1%}")
    return [axes, sums]
