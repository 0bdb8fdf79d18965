"""By what a run's trials are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tuning.problem.problem import Mode
from tuning.runs.manifest import Manifest


@dataclass(frozen=True)
class Judged:
    """Something made from a run's tables.

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
    def test_metric(self) -> str:
        """The same metric on the test data."""
        return test_metric(self.metric)

    @property
    def mode(self) -> Mode:
        """Whether more of the metric is better, or less."""
        return self.manifest.problem.mode


def test_metric(metric: str) -> str:
    """The metric on the test data that goes with one on the validation data."""
    return metric.replace("val_", "test_", 1)


def scores_of(rows: pd.DataFrame, column: str) -> np.ndarray:
    """A column of scores: NaN for trials without a result, or with one that is not finite."""
    scores = rows[column].where(rows["status"] == "ok").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(scores), scores, np.nan)
