"""What packing makes of a grid, as a person reads it."""

from __future__ import annotations

from rich import box
from rich.table import Table

from tuning.estimate import total_epochs
from tuning.grid import Grid
from tuning.packing.axes import Packing

OF_KIND = {
    "structural": "changes the program",
    "lifted": "an input of the program",
    "fidelity": "free from the longest",
}


def explanation_tables(packing: Packing, grid: Grid) -> list[Table]:
    """Each axis with its kind and why; and what the whole grid comes to."""
    axes = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("axis", "values", "kind", "", "what it changes"):
        axes.add_column(name, justify="right" if name == "values" else "left")
    for name, axis in packing.axes.items():
        n = f"{len(grid.axes[name]):,}"
        axes.add_row(name, n, axis.kind, OF_KIND[axis.kind], axis.why)

    programs, trajectories, trained = packing.count(grid)
    sums = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("the whole grid", "one by one", "packed", "saves"):
        sums.add_column(name, justify="left" if name == "the whole grid" else "right")
    for name, alone, packed in (
        ("programs to compile", grid.size, programs),
        ("trainings", grid.size, trajectories),
        ("epochs to train", total_epochs(grid), trained),
    ):
        sums.add_row(name, f"{alone:,}", f"{packed:,}", f"{1 - packed / alone:.1%}")
    return [axes, sums]
