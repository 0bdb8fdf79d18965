"""Columns that are zero in every row: left out where nothing can tell, and only there."""

import re

import numpy as np
import pytest

from tests.conftest import changed, fit, packing_of, train_pack, trial_at
from tuning import load_problem
from tuning.engines import vectorized
from tuning.packing.axes import UNPACKED
from tuning.problem.problem import load_data

pytestmark = pytest.mark.usefixtures("worker")

BORDER = (
    'y = (x.sum(axis=1) > 0).astype("float32")\n',
    'y = (x.sum(axis=1) > 0).astype("float32")\n'
    "    x = np.pad(x.reshape(-1, 2, 2), ((0, 0), (1, 1), (1, 1)))\n"
    "    x[256:, 0, 0] = 1.0  # only in the test rows\n",
)
FLATTENED = ("keras.Input((4,)),", "keras.Input((4, 4)), keras.layers.Flatten(),")
KEPT = [0, 5, 6, 9, 10]


def program_of(path, trials=(0,)):
    problem = load_problem(str(path))
    data = load_data(problem)
    members = []
    for trial in trials:
        steps = vectorized.look_at(problem, data, problem.grid[trial], 0)
        members.append(vectorized.Member(problem.grid[trial], 0, steps, [trial_at(problem, trial)]))
    return vectorized.program_of(vectorized.Task(problem, data, UNPACKED), members)


def kept(path):
    columns = program_of(path).kept
    return None if columns is None else columns.tolist()


@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "Lion", "Adadelta", "RMSprop", "Adagrad"])
def test_without_them_it_trains_as_keras_fit_does(tmp_path, optimizer):
    quiet = ("keras.layers.Dropout(0.1),", "")
    path = changed(tmp_path, BORDER, FLATTENED, quiet, ("Adam", optimizer))
    assert kept(path) == KEPT
    problem, packing = packing_of(path)
    data = load_data(problem)
    (packed,) = train_pack(problem, data, [1], 0, packing)
    assert (packed.engine, len(packed.curve)) == ("vectorized", 2)
    assert packed.metrics == pytest.approx(fit(problem, data, 1, 0).metrics, rel=1e-4)


def test_nothing_of_the_whole_shape_is_made(tmp_path):
    path = changed(tmp_path, BORDER, FLATTENED)
    problem = load_problem(str(path))
    trials = [t for t in range(problem.grid.size) if problem.grid[t]["batch_size"] == 16]
    like = {
        k: v for k, v in problem.grid[trials[0]].items() if k not in ("learning_rate", "epochs")
    }
    trials = [t for t in trials if like.items() <= problem.grid[t].items()][::2]
    program = program_of(path, trials)
    state = program.start(range(len(trials)))
    program.epoch(state, program.batches([np.arange(192)]))
    steps = program._compiled[len(trials)]["steps"].as_text()
    assert re.search(r"\[(12,)?16,5\]", steps)
    assert not re.search(r"\[16,(16|4,4)\]", steps)


@pytest.mark.parametrize(
    "change",
    [
        ("Adam(", "Lamb("),  # its step is scaled by the norm of all weights
        ("Adam(", "Adafactor("),  # it keeps means over rows
        ("Adam(config", "Adam(clipnorm=1.0, learning_rate=config"),
        ("Adam(", "AdamW("),  # its weight decay moves every row
        ("Adam(config", "Adam(weight_decay=0.1, learning_rate=config"),
        ("Adam(", "Ftrl("),  # it sets to zero what has no gradient
        ("Adam(config", "Adam(use_ema=True, learning_rate=config"),
        ("Adam(config", "Adam(epsilon=0.0, learning_rate=config"),  # 0 / 0
        ('activation=config["activation"]', 'kernel_regularizer="l2"'),
        ('activation=config["activation"]', 'kernel_constraint="unit_norm"'),
        ("keras.layers.Flatten(),", "keras.layers.BatchNormalization(), keras.layers.Flatten(),"),
        ("keras.layers.Flatten(),", "keras.layers.Flatten(), keras.layers.Dropout(0.1),"),
        ("keras.layers.Flatten(),", "keras.layers.Rescaling(1.0, 0.5), keras.layers.Flatten(),"),
    ],
)
def test_where_they_could_be_told_they_stay(tmp_path, change):
    path = changed(tmp_path, BORDER, FLATTENED)
    assert kept(path) == KEPT
    (tmp_path / "other").mkdir()
    assert kept(changed(tmp_path / "other", change, source=path)) is None


def test_an_input_that_two_layers_read_stays_whole(tmp_path):
    functional = (
        "    model.compile(",
        "    inputs = keras.Input((4, 4))\n"
        "    mean = keras.layers.GlobalAveragePooling1D()(inputs)\n"
        "    one, other = keras.layers.Dense(4)(keras.layers.Flatten()(inputs)), mean\n"
        "    model = keras.Model(inputs, model.layers[-1](keras.layers.Add()([one, other])))\n"
        "    model.compile(",
    )
    small = ('Dense(config["units"]', "Dense(4")
    assert kept(changed(tmp_path, BORDER, FLATTENED, small, functional)) is None


def test_a_few_are_not_worth_it(tmp_path):
    few = (BORDER[0], f"{BORDER[0]}    x = np.pad(np.tile(x, 10), ((0, 0), (0, 1)))\n")
    assert kept(changed(tmp_path, few, ("keras.Input((4,))", "keras.Input((41,))"))) is None
