"""Spectral normalization around a dense layer, which keeps a vector as state."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"power_iterations": [1, 2], "learning_rate": [0.01, 0.1]})


def load_data():
    return binary()


def build_model(config):
    hidden = keras.layers.Dense(6, activation="relu")
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.SpectralNormalization(hidden, config["power_iterations"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
