"""Batch sizes, one of which leaves a short last batch and one larger than the data."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 3
ENGINE = "vectorized"

grid = Grid({"batch_size": [20, 32, 200], "learning_rate": [0.01, 0.05]})


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
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
