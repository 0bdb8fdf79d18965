"""Parallel batch search of Keras hyperparameters: random search judged against the sweep."""

from tuning.errors import RunStopped, TuningError
from tuning.grid import Configuration, Grid
from tuning.problem import Problem, load_problem
from tuning.publish import publish
from tuning.samplers import RandomSampler, SweepSampler
from tuning.table import load_curves, load_results

__all__ = [
    "Configuration",
    "Grid",
    "Problem",
    "RandomSampler",
    "RunStopped",
    "SweepSampler",
    "TuningError",
    "load_curves",
    "load_problem",
    "load_results",
    "publish",
]
