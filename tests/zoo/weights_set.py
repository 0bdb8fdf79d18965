"""Weights that build_model sets itself, with a size from the grid."""

import keras
import numpy as np
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"size": [0.1, 1.0], "learning_rate": [0.05]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    random = np.random.default_rng(11)
    model.set_weights(
        [config["size"] * random.normal(size=weight.shape) for weight in model.get_weights()]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
