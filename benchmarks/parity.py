"""Do packs and `fit` reach the same scores?

With dropout of 0.5, over 30 seeds each: mean validation accuracy and log loss, and the p-value of
the two-sample Kolmogorov-Smirnov test that they come from one distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.measuring import PROBLEM, Measurement, apart, prepared

MINUTES, ROUNDS = 3, 1
SEEDS = 30


def measure(smallest: bool) -> Iterator[Measurement]:
    """Means and p-value of each score."""
    for score, (by_fit, in_packs, p) in apart(scores, 2 if smallest else SEEDS).items():
        yield Measurement(score, "mean by fit", by_fit, "")
        yield Measurement(score, "mean in packs", in_packs, "")
        yield Measurement(score, "p-value", p, "")


def scores(seeds: int) -> dict[str, tuple[float, float, float]]:
    """Means by `fit` and in packs, and the p-value, of what a trial's validation gives."""
    from scipy.stats import ks_2samp

    from tuning import load_problem
    from tuning.execution.worker import Job, probe, train
    from tuning.problem.problem import load_data
    from tuning.samplers import trial_at

    prepared("jax")
    problem = load_problem(PROBLEM)
    data = load_data(problem)
    chosen = {
        "batch_size": 128, "optimizer": "adam", "neurons": 64, "activation": "relu",
        "learning_rate": 0.001, "dropout_1": 0.5, "dropout_2": 0.5, "epochs": 4,
    }  # fmt: skip
    index = problem.grid.index(chosen)
    packing = probe(problem, data, Job(0, "jax"), pack=True).packing

    def trained(engine: str, job: Job) -> Any:
        trials = [trial_at(problem.grid, index, 0, job.seed)]
        reports = train(problem, data, trials, job)
        (outcome,) = (each for report in reports for each in report.outcomes)
        assert outcome.engine == engine, outcome
        return outcome.metrics

    packs = [trained("vectorized", Job(seed, "jax", packing=packing)) for seed in range(seeds)]
    by_fit = [trained("fit", Job(100 + seed, "jax")) for seed in range(seeds)]
    found = {}
    for name in ("val_accuracy", "val_loss"):
        one, other = ([metrics[name] for metrics in some] for some in (by_fit, packs))
        p = ks_2samp(one, other).pvalue
        found[name] = float(np.mean(one)), float(np.mean(other)), float(p)
    return found
