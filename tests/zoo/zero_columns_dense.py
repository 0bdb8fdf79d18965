"""Columns that are 0 in all data, read by one dense layer with dropout before it."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.03]})


def without(x):
    x = x.copy()
    x[:, [0, 5, 7]] = 0
    return x


def load_data():
    return {part: (without(x), y) for part, (x, y) in binary().items()}


def build_model(config):
    inner = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dropout(config["dropout"]), inner])
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
