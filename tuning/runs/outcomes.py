"""Outcomes made from a run's tables again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.runs.columns import SCORED, TRAINED, configuration_of_row
from tuning.runs.manifest import Manifest
from tuning.trial import Outcome, Trial, epochs

if TYPE_CHECKING:
    import pandas as pd


def outcomes_of(
    trials: pd.DataFrame, manifest: Manifest, curves: pd.DataFrame | None = None
) -> Iterator[Outcome]:
    """The outcomes that rows of a table are of.

    Parameters
    ----------
    trials : DataFrame
        Rows of `tuning.load_results`.
    manifest : Manifest
    curves : DataFrame, optional
        Of `tuning.load_curves`, for the learning curves; without it they are empty.

    Yields
    ------
    Outcome
        In the order of the rows.
    """
    space = manifest.space
    scores = [
        f"{short}_{name}"
        for split, short in SCORED.items()
        if split in manifest.splits
        for name in manifest.metrics
    ]
    columns: dict[str, list[Any]] = {str(name): trials[name].tolist() for name in trials}
    logs = {} if curves is None else _logs(curves)
    for place in range(len(trials)):
        row = {name: values[place] for name, values in columns.items()}
        configuration = configuration_of_row(row, space)
        stopped = row["status"] == "stopped"
        n_epochs = row[TRAINED] if stopped else epochs(configuration)
        index = space.place(configuration)
        trial = Trial(row["trial"], configuration, row["seed"], n_epochs, index)
        yield Outcome(
            trial,
            row["status"],
            _text(row["engine"]),
            _text(row["backend"]),
            _metrics(row, scores),
            logs.get((row["strategy"], row["trial"]), []),
            0.0 if np.isnan(row["train_seconds"]) else row["train_seconds"],
            error=_text(row["error"]),
            worker=_text(row["worker"]),
            finished_at=_text(row["finished_at"]),
        )


def _logs(curves: pd.DataFrame) -> dict[tuple[str, int], list[dict[str, float]]]:
    """The learning curves by strategy and trial."""
    names = [str(name) for name in curves]
    names = names[names.index("epoch") + 1 :]
    return {
        key: own.sort_values("epoch")[names].to_dict("records")  # type: ignore[misc]
        for key, own in curves.groupby(["strategy", "trial"], sort=False)
    }


def _metrics(row: dict[str, Any], scores: list[str]) -> dict[str, float]:
    """The scores of a row; of a training that was stopped, those that it has."""
    if row["status"] == "stopped":
        return {name: row[name] for name in scores if not np.isnan(row[name])}
    return {name: row[name] for name in scores} if row["status"] == "ok" else {}


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else ""
