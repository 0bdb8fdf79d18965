"""The Ray tasks: what the driver has a worker process do, on one CPU thread."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

from tuning.errors import first_line
from tuning.problem import Data, Problem
from tuning.training import threads
from tuning.training.memory import keep_for_good
from tuning.training.outcome import Outcome
from tuning.training.threads import one_cpu, use_one_thread

PROBES = 8


@dataclass(frozen=True)
class Probe:
    """What a first look at a problem's models found, before anything is trained.

    Attributes
    ----------
    metrics : list of str
        What the models report, ``loss`` first; empty if `error` is set.
    model_fingerprint : str
        SHA-256 of the first model that builds, as Keras serializes it.
    error : str
        Why no model of the problem can be trained, as one line.
    """

    metrics: list[str] = field(default_factory=list)
    model_fingerprint: str = ""
    error: str = ""


@functools.cache
def prepare(backend: str) -> None:
    """Make this process a worker: one thread, quiet, Keras imported on the backend; once."""
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    use_one_thread(backend)
    import keras  # noqa: F401

    keep_for_good()


def train(problem: Problem, data: Data, trial: int, seed: int, backend: str) -> Outcome:
    """Train one configuration."""
    with one_cpu():
        prepare(backend)
        from tuning.training.fit import fit

        return fit(problem, data, trial, seed)


def probe(problem: Problem, data: Data, seed: int, backend: str) -> Probe:
    """Build a model of the problem and score it on two rows.

    A configuration whose model does not build is an ordinary failure, so a few evenly spaced ones
    are tried before the problem is called unusable.
    """
    with one_cpu():
        prepare(backend)
        import keras

        from tuning.training.fit import compiled_model, score_names

        size = problem.grid.size
        errors = []
        for trial in dict.fromkeys(i * size // PROBES for i in range(PROBES)):
            try:
                model = compiled_model(problem, problem.grid[trial], seed)
                metrics = score_names(model, data)
                return Probe(metrics, _fingerprint(keras.saving.serialize_keras_object(model)))
            except Exception as error:
                errors.append(first_line(error))
        return Probe(error=errors[0])


def thread_report(backend: str) -> dict[str, Any]:
    """What the worker's libraries say of their threads once it is prepared."""
    with one_cpu():
        prepare(backend)
        return threads.report()


def _fingerprint(serialized: dict[str, Any]) -> str:
    text = json.dumps(serialized, sort_keys=True, default=str)
    text = re.sub(r"0x[0-9a-f]+", "", text)  # addresses, in what has no better name
    return hashlib.sha256(text.encode()).hexdigest()
