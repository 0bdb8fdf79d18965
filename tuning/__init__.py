"""Hyperparameter search for Keras: trials of one program train together, results are tables.

`search` is the first thing to call; the command `tuning` does the same from a file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tuning.errors import RunStopped, TuningError
from tuning.problem.file import load_problem
from tuning.problem.problem import Problem
from tuning.runs.publish import publish
from tuning.runs.table import load_curves, load_results
from tuning.samplers import (
    FINISHED,
    WAIT,
    FixedSampler,
    RandomSampler,
    Sampler,
    SweepSampler,
    register,
    trial_at,
    trial_of,
)
from tuning.space.grid import Configuration, Grid
from tuning.space.parameters import Choice, Fixed, Float, Int
from tuning.space.space import Space
from tuning.trial import Outcome, Trial

if TYPE_CHECKING:
    from tuning.api.public import open, search
    from tuning.api.results import Results
    from tuning.api.scikit.search import KerasSearchCV
    from tuning.engines.batches import row_order
    from tuning.engines.repeat import initial_model
    from tuning.execution.loop import Progress
    from tuning.problem.weighing import row_weights

_LATER = {  # imported when it is first used: a worker needs neither Ray's driver nor pandas
    "KerasSearchCV": "tuning.api.scikit.search",
    "Progress": "tuning.execution.loop",
    "Results": "tuning.api.results",
    "initial_model": "tuning.engines.repeat",
    "open": "tuning.api.public",
    "row_order": "tuning.engines.batches",
    "row_weights": "tuning.problem.weighing",
    "search": "tuning.api.public",
}

__all__ = [
    "FINISHED",
    "WAIT",
    "Choice",
    "Configuration",
    "Fixed",
    "FixedSampler",
    "Float",
    "Grid",
    "Int",
    "KerasSearchCV",
    "Outcome",
    "Problem",
    "Progress",
    "RandomSampler",
    "Results",
    "RunStopped",
    "Sampler",
    "Space",
    "SweepSampler",
    "Trial",
    "TuningError",
    "initial_model",
    "load_curves",
    "load_problem",
    "load_results",
    "open",
    "publish",
    "register",
    "row_order",
    "row_weights",
    "search",
    "trial_at",
    "trial_of",
]


def __getattr__(name: str) -> Any:
    """Import a name of `_LATER`."""
    if name not in _LATER:
        raise AttributeError(f"module 'tuning' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
