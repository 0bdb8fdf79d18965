"""What the statistics of a run have in common: its manifest, and the scores that judge trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tuning.problem.problem import Mode
from tuning.runs.manifest import Manifest


@dataclass(frozen=True)
class RunView:
    """A view of a run's tables.

    Attributes
    ----------
    manifest : Manifest
        The run's.
    """

    manifest: Manifest

    @property
    def metric(self) -> str:
        """The validation metric that chooses."""
        return self.manifest.problem.metric

    @property
    def test_metric(self) -> str | None:
        """The same metric on the test data; None if the data has no test split."""
        return self.metric.replace("val_", "test_", 1) if self.manifest.has_test else None

    @property
    def score_names(self) -> list[str]:
        """The metric that chooses and, if the data has a test split, the same on that."""
        return [self.metric, *([self.test_metric] if self.test_metric else [])]

    @property
    def mode(self) -> Mode:
        """Whether more of the metric is better, or less."""
        return self.manifest.problem.mode


def scores_of(rows: pd.DataFrame, column: str) -> np.ndarray:
    """A column of scores: NaN for trials without a result, or with one that is not finite."""
    scores = rows[column].where(rows["status"] == "ok").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(scores), scores, np.nan)


def complete_scores(rows: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Columns of scores, with NaN in all of them for a trial that lacks one.

    Returns
    -------
    array of float, shape (columns, rows)
    """
    scores = np.array([scores_of(rows, column) for column in columns])
    scores[:, np.isnan(scores).any(axis=0)] = np.nan
    return scores
