"""Optimizers by name, as a string in compile; the data is float64."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 4
ENGINE = "vectorized"

grid = Grid({"optimizer": ["sgd", "adam", "nadam", "lion"]})


def load_data():
    return {part: (x.astype("float64"), y.astype("float64")) for part, (x, y) in binary().items()}


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=config["optimizer"], loss="binary_crossentropy", metrics=["accuracy"])
    return model
