"""Parallel batch search of Keras hyperparameters: random search judged against the sweep."""

from tuning.errors import RunStopped, TuningError
from tuning.grid import Configuration, Grid
from tuning.problem import Problem, load_problem
from tuning.results import load_results
from tuning.samplers import RandomSampler, SweepSampler

__all__ = [
    "Configuration",
    "Grid",
    "Problem",
    "RandomSampler",
    "RunStopped",
    "SweepSampler",
    "TuningError",
    "load_problem",
    "load_results",
]
