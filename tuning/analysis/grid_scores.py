"""The landscape: what one seed's training made of each configuration, as far as it was trained."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.run_view import Judged, scores_of
from tuning.errors import TuningError
from tuning.runs.manifest import Manifest
from tuning.space.grid import Grid


@dataclass(frozen=True)
class Landscape(Judged):
    """A table of trials, each configuration once, in grid order.

    Attributes
    ----------
    manifest : mapping
    trials : DataFrame
        Rows of `tuning.load_results`, with the configuration's place in the grid as index.
    """

    trials: pd.DataFrame

    @cached_property
    def grid(self) -> Grid:
        """The grid it is of."""
        return self.manifest.grid

    @property
    def whole(self) -> bool:
        """Whether every configuration of the grid was trained."""
        return len(self.trials) == self.grid.size

    @cached_property
    def values(self) -> np.ndarray:
        """The metric of each trial; NaN without finite scores."""
        values = scores_of(self.trials, self.metric)
        return np.where(np.isnan(scores_of(self.trials, self.test_metric)), np.nan, values)

    @cached_property
    def tests(self) -> np.ndarray:
        """The test metric of each trial; NaN without finite scores."""
        tests = scores_of(self.trials, self.test_metric)
        return np.where(np.isnan(self.values), np.nan, tests)

    @property
    def best(self) -> float:
        """The best value."""
        return float(np.nanmax(self.values) if self.mode == "max" else np.nanmin(self.values))

    @property
    def without(self) -> int:
        """How many trials have no finite scores."""
        return int(np.isnan(self.values).sum())

    @cached_property
    def ranks(self) -> np.ndarray:
        """The rank of each trial by the metric, 1 the best; the better of equals' ranks."""
        ranks = pd.Series(self.values).rank(method="min", ascending=self.mode == "min")
        return ranks.to_numpy()

    def better(self, one: Any, other: Any) -> Any:
        """Whether one metric value is better than another."""
        return one > other if self.mode == "max" else one < other


def landscape(results: pd.DataFrame, manifest: Manifest) -> Landscape:
    """The trials of a run, each configuration once however many strategies asked for it.

    Raises
    ------
    TuningError
        If no trial has a result.
    """
    trials = results.drop_duplicates("index").set_index("index").sort_index()
    found = Landscape(manifest, trials)
    if found.without == len(trials):
        run = f"run {results['run'].iloc[0]}" if len(results) else "the run"
        raise TuningError(
            f"no trial of {run} has a result, so that there is nothing to rank: the column error "
            "of its table says why"
        )
    return found
