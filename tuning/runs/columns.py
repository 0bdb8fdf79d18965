"""The columns of a run's tables, and their cells as CSV text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from tuning.errors import TuningError
from tuning.problem.data import SPLITS
from tuning.runs.manifest import Manifest
from tuning.space.grid import Grid
from tuning.space.labels import cell_text, python_scalar
from tuning.space.space import Space
from tuning.trial import Outcome, point_of

Row: TypeAlias = dict[str, Any]

TRIALS = "trials.csv"
CURVES = "curves.csv"

KEY = ("run", "strategy", "trial", "index", "seed")
STATUSES = ("ok", "stopped", "diverged", "failed", "timeout")
TRAINED = "trained_epochs"
AFTER_METRICS = (
    "train_seconds",
    "engine",
    "backend",
    "worker",
    "finished_at",
    "error",
)
SCORED = {"validation": "val", "test": "test", "train": "train"}  # as their columns begin
OF_COMPARISON = ("trials", "total_epochs", "total_cpu_seconds")  # columns beside the axes there


def trial_columns(
    axes: Iterable[str], metrics: Iterable[str], splits: Iterable[str] = SPLITS
) -> list[str]:
    """The columns of trials.csv, in order.

    Parameters
    ----------
    axes, metrics : iterable of str
    splits : iterable of str
        That the problem's data has.

    Raises
    ------
    TuningError
        If an axis has the name of another column, or one that a spreadsheet takes for a formula.
    """
    scores = [
        f"{short}_{name}" for split, short in SCORED.items() if split in splits for name in metrics
    ]
    others = {*KEY, TRAINED, "status", *scores, *AFTER_METRICS, *OF_COMPARISON}
    for axis in axes:
        if axis in others:
            raise TuningError(f"an axis cannot be called {axis!r}: the results have such a column")
        if cell_text(axis) != axis:
            raise TuningError(
                f"an axis cannot be called {axis!r}: a spreadsheet takes that for a formula "
                "(let it begin with a letter)"
            )
    return [*KEY, *axes, TRAINED, "status", *scores, *AFTER_METRICS]


def columns_of(manifest: Manifest) -> list[str]:
    """The columns of a run's trials.csv, in order.

    Raises
    ------
    TuningError
        As `trial_columns`.
    """
    return trial_columns(manifest.problem.axes, manifest.metrics, manifest.splits)


def curve_columns(metric: str) -> list[str]:
    """The columns of curves.csv: the losses, and the metric that chooses."""
    return list(dict.fromkeys([*KEY, "epoch", "loss", "val_loss", metric]))


def row_of(run: str, strategy: str, outcome: Outcome) -> Row:
    """An outcome as a strategy's row in trials.csv."""
    trial = outcome.trial
    return {
        **key_of(run, strategy, outcome),
        **trial.configuration,
        TRAINED: len(outcome.curve),
        "status": outcome.status,
        **outcome.metrics,
        "train_seconds": round(outcome.seconds, 3),
        "engine": outcome.engine,
        "backend": outcome.backend,
        "worker": outcome.worker,
        "finished_at": outcome.finished_at,
        "error": outcome.error,
    }


def key_of(run: str, strategy: str, outcome: Outcome) -> dict[str, Any]:
    """The columns that tell a strategy's row, and the rows of its curve, from others."""
    trial = outcome.trial
    return {
        "run": run,
        "strategy": strategy,
        "trial": trial.number,
        "index": trial.index,
        "seed": trial.seed,
    }


def configuration_of_row(row: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """The configuration that a row of a table is of, with labels for values."""
    if isinstance(space, Grid):
        return space[int(row["index"])]
    found: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if parameter.exists(found):
            found[name] = python_scalar(row[name])
    return found


def configuration_of_cells(texts: Mapping[str, str], space: Space) -> dict[str, Any]:
    """The configuration that a row's cells are of, as text; ValueError if there is no such one."""
    if isinstance(space, Grid):
        return space[int(texts["index"])]
    return space.read({name: texts[name] for name in space.parameters})


def point_of_row(row: Mapping[str, Any], space: Space) -> int | str:
    """What rows of the same configuration have in common: see `Trial.point`."""
    if isinstance(space, Grid):
        return int(row["index"])
    return point_of(configuration_of_row(row, space))


def cells(row: Mapping[str, Any], columns: list[str]) -> list[str]:
    """A row's cells as CSV text, in the order of the columns."""
    return [cell_text(row.get(column)) for column in columns]


def csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
