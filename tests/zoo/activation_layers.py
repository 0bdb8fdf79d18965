"""Layers of activation with numbers of their own: slopes, limits, thresholds."""

import keras
from _data import binary
from keras import layers

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"slope": [0.1, 0.3], "max_value": [1.0, 6.0], "alpha": [0.5, 1.0]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(6),
            layers.LeakyReLU(config["slope"]),
            layers.Dense(6),
            layers.ReLU(max_value=config["max_value"], negative_slope=0.1, threshold=0.2),
            layers.Dense(4),
            layers.ELU(config["alpha"]),
            layers.Dense(4),
            layers.PReLU(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
