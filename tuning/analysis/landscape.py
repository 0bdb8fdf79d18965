"""The landscape: what one seed's training made of each configuration, as far as it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.compare import test_metric
from tuning.errors import TuningError
from tuning.grid import Grid
from tuning.manifest import manifest_grid
from tuning.problem import Mode


@dataclass(frozen=True)
class Landscape:
    """A table of trials, each configuration once, in grid order.

    Attributes
    ----------
    trials : DataFrame
        Rows of `tuning.load_results`, with the grid index ``trial`` as index.
    manifest : mapping
    """

    trials: pd.DataFrame
    manifest: Mapping[str, Any]

    @cached_property
    def grid(self) -> Grid:
        """The grid it is of."""
        return manifest_grid(self.manifest)

    @property
    def metric(self) -> str:
        """The validation metric that chooses."""
        return str(self.manifest["problem"]["metric"])

    @property
    def test_metric(self) -> str:
        """The same metric on the test data."""
        return test_metric(self.metric)

    @property
    def mode(self) -> Mode:
        """Whether more of the metric is better, or less."""
        mode: Mode = self.manifest["problem"]["mode"]
        return mode

    @property
    def whole(self) -> bool:
        """Whether every configuration of the grid was trained."""
        return len(self.trials) == self.grid.size

    @cached_property
    def values(self) -> np.ndarray:
        """The metric of each trial; NaN without a result."""
        return self.scores(self.metric)

    @cached_property
    def tests(self) -> np.ndarray:
        """The test metric of each trial; NaN without a result."""
        return self.scores(self.test_metric)

    def scores(self, column: str) -> np.ndarray:
        """A column of scores, NaN for trials without a result."""
        scores = self.trials[column].where(self.trials["status"] == "ok")
        return scores.to_numpy(dtype=float, na_value=np.nan)

    @property
    def ranks(self) -> np.ndarray:
        """The rank of each trial by the metric, 1 the best; the better of equals' ranks."""
        ranks = pd.Series(self.values).rank(method="min", ascending=self.mode == "min")
        return ranks.to_numpy()

    def better(self, one: Any, other: Any) -> Any:
        """Whether one metric value is better than another."""
        return one > other if self.mode == "max" else one < other


def landscape(results: pd.DataFrame, manifest: Mapping[str, Any]) -> Landscape:
    """The trials of a run, each configuration once however many strategies asked for it.

    Raises
    ------
    TuningError
        If no trial has a result.
    """
    trials = results.drop_duplicates("trial").set_index("trial").sort_index()
    found = Landscape(trials, manifest)
    if np.isnan(found.values).all():
        raise TuningError("no trial has a result: there is nothing to rank")
    return found
