"""A linear support vector machine: hinge losses on -1 and 1, which one is structure."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"loss": ["hinge", "squared_hinge"], "l2": [0.001, 0.1]})


def load_data():
    return {part: (x, 2 * y - 1) for part, (x, y) in binary().items()}


def build_model(config):
    regularizer = keras.regularizers.L2(config["l2"])
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(1, kernel_regularizer=regularizer)]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.05),
        loss=config["loss"],
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],
    )
    return model
