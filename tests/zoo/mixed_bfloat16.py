"""Layers that compute in bfloat16 and keep float32 variables."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.03]})


def load_data():
    return binary()


def build_model(config):
    half = "mixed_bfloat16"
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(8, activation="relu", dtype=half),
            keras.layers.Dropout(config["dropout"], dtype=half),
            keras.layers.Dense(4, activation="relu", dtype=half),
            keras.layers.Dense(1, activation="sigmoid", dtype="float32"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
