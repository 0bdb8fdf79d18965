"""The usual structural axes, units and depth, each a program."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 4
ENGINE = "vectorized"

grid = Grid({"units": [3, 5], "depth": [1, 2], "learning_rate": [0.01, 0.05]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential([keras.Input((8,))])
    for _ in range(config["depth"]):
        model.add(keras.layers.Dense(config["units"], activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
