"""The score of each configuration of a space, as far as it was trained with one seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.run_view import RunView, complete_scores
from tuning.errors import TuningError
from tuning.runs.manifest import Manifest
from tuning.runs.table import points_of
from tuning.space.grid import Grid
from tuning.space.space import Space


@dataclass(frozen=True)
class GridScores(RunView):
    """The trials of a run, each configuration once, in grid order if the space is a grid.

    Attributes
    ----------
    manifest : Manifest
    trials : DataFrame
        Rows of `tuning.load_results`, with the configuration's place in the grid as index, or what
        else names it: see `Trial.point`.
    """

    trials: pd.DataFrame

    @property
    def space(self) -> Space:
        """The space that the run searches."""
        return self.manifest.space

    @property
    def grid(self) -> Grid:
        """The space, which has to be a grid.

        Raises
        ------
        TuningError
            If it is none.
        """
        return self.manifest.grid

    @property
    def is_whole(self) -> bool:
        """Whether the space is a grid, of which every configuration was trained."""
        return isinstance(self.space, Grid) and len(self.trials) == self.space.size

    @cached_property
    def _scores(self) -> np.ndarray:
        return complete_scores(self.trials, self.score_names)

    @property
    def values(self) -> np.ndarray:
        """The metric of each trial, shape (trials,); NaN without finite scores."""
        first: np.ndarray = self._scores[0]
        return first

    @property
    def tests(self) -> np.ndarray | None:
        """The test metric of each trial, shape (trials,); NaN where `values` has it.

        None if the data has no test split.
        """
        return self._scores[1] if self.test_metric else None

    @property
    def best(self) -> float:
        """The best value."""
        return float(np.nanmax(self.values) if self.mode == "max" else np.nanmin(self.values))

    @property
    def without_result(self) -> int:
        """How many trials have no finite scores."""
        return int(np.isnan(self.values).sum())

    @cached_property
    def ranks(self) -> np.ndarray:
        """The rank of each trial by the metric, 1 the best; equals have the best rank of theirs."""
        ranks = pd.Series(self.values).rank(method="min", ascending=self.mode == "min")
        return ranks.to_numpy()

    def is_better(self, one: Any, other: Any) -> Any:
        """Whether one metric value is better than another; also of arrays."""
        return one > other if self.mode == "max" else one < other

    def top_counts(self) -> dict[str, tuple[int, int]]:
        """The sizes of the best 1%, 0.1% and 10, and the same with equals of the last of them.

        Only those that are at least one configuration, and fewer than all.
        """
        ranks = np.sort(self.ranks[~np.isnan(self.ranks)])
        size = self.grid.size
        named = {"1%": round(size / 100), "0.1%": round(size / 1000), "10": 10}
        return {
            name: (top, int(np.searchsorted(ranks, ranks[min(top, len(ranks)) - 1], "right")))
            for name, top in named.items()
            if 1 <= top < size
        }


def grid_scores(results: pd.DataFrame, manifest: Manifest) -> GridScores:
    """Take each configuration of a run once, however many strategies asked for it.

    A training that came to its end goes before one that was stopped.

    Raises
    ------
    TuningError
        If no trial has a result.
    """
    space = manifest.space
    whole = results[results["status"] != "stopped"]
    trials = whole.assign(index=points_of(whole, space))
    trials = trials.drop_duplicates("index").set_index("index")
    trials = trials.sort_index() if isinstance(space, Grid) else trials
    found = GridScores(manifest, trials)
    if found.without_result == len(trials):
        run = f"run {results['run'].iloc[0]}" if len(results) else "the run"
        raise TuningError(
            f"no trial of {run} has a result, so that there is nothing to rank: the column error "
            "of its table says why"
        )
    return found
