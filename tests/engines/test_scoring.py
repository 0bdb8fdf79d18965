"""Scores are those of batches of the configuration's size, whatever the engine."""

import pytest

from tests.conftest import fit, packing_of, train_pack
from tuning import load_problem
from tuning.engines.vectorized import look_at
from tuning.packing.axes import Packing
from tuning.problem.problem import load_data

pytestmark = pytest.mark.usefixtures("worker")

PROBLEM = """
import keras
import numpy as np
from keras import ops
from tuning import Grid

grid = Grid({{"batch_size": [7, 32], "learning_rate": [0.01, 0.1], "epochs": [2]}})
metric = "val_loss"

def load_data():
    r = np.random.default_rng(0)
    x = r.normal(size=(170, 4)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] + 0.5 * r.normal(size=(170, 1)) > 0.8).astype("float32")
    cuts = {{"train": slice(60), "validation": slice(60, 121), "test": slice(121, None)}}
    return {{split: (x[cut], y[cut]) for split, cut in cuts.items()}}

def f1(y, p):
    hard = ops.round(p)
    tp = ops.sum(y * hard)
    return 2 * tp / (ops.sum(hard) + ops.sum(y) + 1e-7)

class Largest(keras.metrics.Metric):
    def __init__(self, name="largest"):
        super().__init__(name=name)
        self.total = self.add_variable((), "zeros")
    def update_state(self, y, p, sample_weight=None):
        self.total.assign_add(ops.max(p))
    def result(self):
        return self.total + 0

class Step(keras.Sequential):
    def test_step(self, state, data):
        logs, state = super().test_step(state, data)
        return {{"loss": logs["loss"], "last": ops.mean(data[0])}}, state
    def train_step(self, state, data):
        logs, state = super().train_step(state, data)
        return {{"loss": logs["loss"], "last": ops.mean(data[0])}}, state

def build_model(config):
    model = {model}([
        keras.Input((4,)), keras.layers.Dense(6, "tanh"), {layer}
        keras.layers.Dense(1, "sigmoid"),
    ])
    model.compile(keras.optimizers.Adam(config["learning_rate"]), {loss}, metrics=[{metrics}])
    return model
"""
BY_BATCH = {
    "f1 of a batch": {"metrics": "f1"},
    "largest of a batch": {"metrics": "Largest()"},
    "loss as a metric": {"metrics": "keras.losses.Huber()"},
    "sum": {"loss": "keras.losses.BinaryCrossentropy(reduction='sum')"},
    "rows mixed": {"layer": "keras.layers.Lambda(lambda x: x - ops.mean(x, 0)),"},
    "batch statistics": {"layer": "keras.layers.Lambda(lambda x: x / ops.max(ops.abs(x))),"},
    "last logs": {"model": "Step"},
}
BY_ROW = {
    "means": {"metrics": "'accuracy', 'mae', keras.losses.huber"},
    "sums of a stream": {"metrics": "keras.metrics.AUC(), keras.metrics.F1Score(threshold=0.5)"},
    "matrix": {"metrics": "keras.metrics.BinaryIoU(), keras.metrics.FalseNegatives()"},
    "squares": {"metrics": "keras.metrics.RootMeanSquaredError(), keras.metrics.R2Score()"},
    "layer with state": {"layer": "keras.layers.BatchNormalization(), keras.layers.Dropout(0.5),"},
    "weights": {"layer": "keras.layers.Dense(3, kernel_regularizer='l2'),"},
}


def problem_of(tmp_path, changes):
    parts = {"model": "keras.Sequential", "layer": "", "loss": "'binary_crossentropy'"}
    path = tmp_path / "scored.py"
    path.write_text(PROBLEM.format(**{**parts, "metrics": "", **changes}))
    return path


@pytest.mark.parametrize("changes", BY_BATCH.values(), ids=BY_BATCH)
def test_what_depends_on_the_batch_is_what_keras_evaluates(changes, tmp_path):
    path = problem_of(tmp_path, changes)
    problem = load_problem(str(path))
    data = load_data(problem)
    sizes = {i: look_at(problem, data, problem.grid[i], 0).scored_rows for i in (0, 2)}
    assert sizes == {0: 7, 2: 32}
    several = changes == BY_BATCH["f1 of a batch"]
    trials, packing = ([0, 1], packing_of(path)[1]) if several else ([0], Packing())
    for trial, packed in zip(trials, train_pack(problem, data, trials, 0, packing), strict=True):
        alone = fit(problem, data, trial, 0)
        assert (packed.engine, packed.error) == ("vectorized", "")
        assert packed.metrics == pytest.approx(alone.metrics, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("changes", BY_ROW.values(), ids=BY_ROW)
def test_what_adds_up_over_rows_is_scored_in_large_batches(changes, tmp_path):
    problem = load_problem(str(problem_of(tmp_path, changes)))
    assert look_at(problem, load_data(problem), problem.grid[0], 0).scored_rows is None
