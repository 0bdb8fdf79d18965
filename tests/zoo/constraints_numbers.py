"""Constraints: the limit of a norm is a number; signs and unit norms beside it."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"max_norm": [0.3, 1.0, 3.0], "rate": [0.5], "epochs": [1, 2]})


def load_data():
    return binary()


def build_model(config):
    constraints = keras.constraints
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(
                6,
                activation="relu",
                kernel_constraint=constraints.MaxNorm(config["max_norm"]),
                bias_constraint=constraints.NonNeg(),
            ),
            keras.layers.Dense(
                4, kernel_constraint=constraints.MinMaxNorm(0.1, config["max_norm"], rate=0.5)
            ),
            keras.layers.Dense(1, activation="sigmoid", kernel_constraint="unit_norm"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(config["rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
