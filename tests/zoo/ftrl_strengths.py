"""Ftrl with its own regularization strengths as axes."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"l1": [0.0, 0.01], "l2": [0.0, 0.1]})


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
    optimizer = keras.optimizers.Ftrl(
        0.1, l1_regularization_strength=config["l1"], l2_regularization_strength=config["l2"]
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
