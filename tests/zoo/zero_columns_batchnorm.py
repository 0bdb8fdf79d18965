"""Columns that are 0 in all data, and a BatchNormalization that makes them something else."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"learning_rate": [0.003, 0.03], "epochs": [1, 2]})


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
    model = keras.Sequential([keras.Input((8,)), keras.layers.BatchNormalization(), inner])
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
