"""Layers in float16 with a LossScaleOptimizer, whose start is an axis."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"initial_scale": [64.0, 1e9], "learning_rate": [0.03]})


def load_data():
    return binary()


def build_model(config):
    half = "mixed_float16"
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(8, activation="relu", dtype=half),
            keras.layers.Dense(4, activation="relu", dtype=half),
            keras.layers.Dense(1, activation="sigmoid", dtype="float32"),
        ]
    )
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(config["learning_rate"]),
        initial_scale=config["initial_scale"],
        dynamic_growth_steps=2,
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
