"""Columns that are zero in every row: left out where nothing can tell, and only there."""

import re

import numpy as np
import pytest

from tests.conftest import changed, packing_of, train_pack
from tuning import load_problem
from tuning.problem import load_data
from tuning.training.fit import compiled_model, fit
from tuning.training.program import Program

pytestmark = pytest.mark.usefixtures("worker")

BORDER = (
    'y = (x.sum(axis=1) > 0).astype("float32")\n',
    'y = (x.sum(axis=1) > 0).astype("float32")\n'
    "    x = np.pad(x.reshape(-1, 2, 2), ((0, 0), (1, 1), (1, 1)))\n"
    "    x[256:, 0, 0] = 1.0  # only in the test rows\n",
)
FLATTENED = ("keras.Input((4,)),", "keras.Input((4, 4)), keras.layers.Flatten(),")
KEPT = [0, 5, 6, 9, 10]


def program_of(path, trial=0):
    problem, _ = packing_of(path)
    configuration = problem.grid[trial]
    model = compiled_model(problem, configuration, seed=0)
    return Program(model, load_data(problem), configuration["batch_size"])


@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "Ftrl"])
def test_without_them_it_trains_as_keras_fit_does(tmp_path, optimizer):
    quiet = ("keras.layers.Dropout(0.1),", "")
    path = changed(tmp_path, BORDER, FLATTENED, quiet, ("Adam", optimizer))
    assert program_of(path)._columns.kept.tolist() == KEPT
    problem, packing = packing_of(path)
    data = load_data(problem)
    (packed,) = train_pack(problem, data, [1], 0, packing)
    assert (packed.engine, len(packed.curve)) == ("vectorized", 2)
    assert packed.metrics == pytest.approx(fit(problem, data, 1, 0).metrics, rel=1e-4)


def test_nothing_of_the_whole_shape_is_made(tmp_path):
    """XLA has to drop the zeros that stand for the columns left out."""
    path = changed(tmp_path, BORDER, FLATTENED)
    program = program_of(path)
    state = program.start([program.numbers] * 3)
    train = program.rows(load_data(load_problem(str(path)))["train"])
    program.epoch(state, program.batches(train, np.arange(192)))
    steps = program._compiled[3]["steps"]
    assert "[16,5]" in steps.as_text()
    assert not re.search(r"\[16,(16|4,4)\]", steps.as_text())


@pytest.mark.parametrize(
    "change",
    [
        ("Adam(", "Lamb("),  # its step is scaled by the norm of all weights
        ('activation=config["activation"]', 'kernel_regularizer="l2"'),
        ('activation=config["activation"]', 'kernel_constraint="unit_norm"'),
    ],
)
def test_where_they_could_be_told_they_stay(tmp_path, change):
    program = program_of(changed(tmp_path, BORDER, FLATTENED, change))
    assert program._columns is None


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
    program = program_of(changed(tmp_path, BORDER, FLATTENED, small, functional))
    assert program._columns is None


def test_a_few_are_not_worth_it(tmp_path):
    few = (BORDER[0], f"{BORDER[0]}    x = np.pad(np.tile(x, 10), ((0, 0), (0, 1)))\n")
    program = program_of(changed(tmp_path, few, ("keras.Input((4,))", "keras.Input((41,))")))
    assert program._columns is None
