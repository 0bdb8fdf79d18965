"""Search strategies: which trials to train, and in what order."""

from __future__ import annotations

from tuning.samplers.jobs import MANY, JobSampler, Wanted
from tuning.samplers.protocol import (
    FINISHED,
    WAIT,
    FixedSampler,
    Sampler,
    every_trial,
    trial_at,
    trial_of,
    trial_of_point,
)
from tuning.samplers.random import RandomSampler
from tuning.samplers.registry import (
    gives_each_once,
    register,
    samplers_of,
    strategies,
    strategy,
    title_of,
)
from tuning.samplers.shard import Shard, ShardSampler
from tuning.samplers.sweep import SweepSampler

__all__ = [
    "FINISHED",
    "MANY",
    "WAIT",
    "FixedSampler",
    "JobSampler",
    "RandomSampler",
    "Sampler",
    "Shard",
    "ShardSampler",
    "SweepSampler",
    "Wanted",
    "every_trial",
    "gives_each_once",
    "register",
    "samplers_of",
    "strategies",
    "strategy",
    "title_of",
    "trial_at",
    "trial_of",
    "trial_of_point",
]
