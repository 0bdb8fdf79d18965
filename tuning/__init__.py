"""Parallel batch search of Keras hyperparameters: random search judged against the sweep."""

from tuning.errors import RunStopped, TuningError
from tuning.problem.file import load_problem
from tuning.problem.problem import Problem
from tuning.runs.publish import publish
from tuning.runs.table import load_curves, load_results
from tuning.samplers import RandomSampler, SweepSampler
from tuning.space.grid import Configuration, Grid

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
