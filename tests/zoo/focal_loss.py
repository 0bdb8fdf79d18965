"""Focal loss with gamma and alpha as axes; gamma 2 is a power like any other."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"gamma": [1.5, 2.0], "alpha": [0.25, 0.75]})


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
    loss = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=config["alpha"], gamma=config["gamma"]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    return model
