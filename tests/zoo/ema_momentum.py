"""Averaged weights: optimizer with use_ema, its momentum an axis, for two lengths."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"ema_momentum": [0.5, 0.99], "learning_rate": [0.01], "epochs": [1, 3]})


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
    optimizer = keras.optimizers.Adam(
        config["learning_rate"], use_ema=True, ema_momentum=config["ema_momentum"]
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
