"""Plain Keras: a configuration trained by its model's own `train_step` in a plain loop.

Nothing of packs is in it. What it shares with the engines is how a model is built (the seeds of
weights and noise), the order of the rows and the rows of a batch that scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tuning import Problem
from tuning.engines.batches import in_floatx, row_order
from tuning.engines.models import compiled_fast, compiled_model
from tuning.engines.parts import Sizes
from tuning.problem.data import Data, map_arrays, n_samples
from tuning.trial import batch_size, epochs


def train_plainly(problem: Problem, data: Data, trial: int, seed: int) -> dict[str, float]:
    """The metrics of a trial, named as in the table."""
    model = compiled_model(problem, problem.grid[trial], seed)
    with compiled_fast():  # a third of the time to compile
        return _trained(model, problem.grid[trial], data, seed)


def _trained(model: Any, configuration: dict[str, Any], data: Data, seed: int) -> dict[str, float]:
    import jax

    size, n = batch_size(configuration), n_samples(data["train"][0])
    model._symbolic_build(data_batch=_rows(data["train"], slice(0, size)))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    step, test = jax.jit(model.train_step), jax.jit(model.test_step)
    fixed = next((t.shape[0] for t in getattr(model, "inputs", None) or () if t.shape[0]), None)
    at_once = Sizes.of(data, size, fixed).scored_at_once
    kinds = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)

    def metrics() -> list[Any]:
        model.reset_metrics()
        return [variable.value for variable in model.metrics_variables]

    def scores(state: list[Any], split: str) -> tuple[list[Any], dict[str, float]]:
        weights, others, values = state[0], state[1], metrics()
        for i in range(0, n_samples(data[split][0]), at_once[split]):
            rows = _rows(data[split], slice(i, i + at_once[split]))
            logs, (weights, others, values) = test((weights, others, values), rows)
        return others, _results(model, values, logs)

    state = [[variable.value for variable in kind] for kind in kinds]
    for epoch in range(epochs(configuration)):
        order, values = row_order(seed, epoch, n), metrics()
        for i in range(0, n, size):
            logs, after = step((*state, values), _rows(data["train"], order[i : i + size]))
            state, values = [list(each) for each in after[:3]], after[3]
        trained = _results(model, values, logs)
        state[1], validated = scores(state, "validation")
    for kind, values in zip(kinds, state, strict=True):
        for variable, value in zip(kind, values, strict=True):
            variable.assign(value)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    _, tested = scores([[variable.value for variable in kind] for kind in kinds], "test")
    found = {"train": trained, "val": validated, "test": tested}
    return {f"{split}_{name}": v for split, each in found.items() for name, v in each.items()}


def _rows(pair: tuple[Any, ...], rows: Any) -> tuple[Any, ...]:
    return map_arrays(lambda array: in_floatx(array[rows]), pair)


def _results(model: Any, values: list[Any], logs: dict[str, Any]) -> dict[str, float]:
    """The metrics, as `fit` logs them; of a score for each class, each as ``f1[0]``."""
    import keras

    pairs = list(zip(model.metrics_variables, values, strict=True))
    with keras.StatelessScope(state_mapping=pairs):
        results = model.get_metrics_result()
    results = results if set(results) == set(logs) else logs
    found = {}
    for name, value in results.items():
        array = np.asarray(value, np.float64).reshape(-1)
        if array.size == 1:
            found[name] = float(array[0])
        else:
            found |= {f"{name}[{i}]": float(each) for i, each in enumerate(array)}
    return found
