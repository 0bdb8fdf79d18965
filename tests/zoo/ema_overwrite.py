"""Averaged weights that overwrite the model's every few steps."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"every": [2, 100], "learning_rate": [0.05], "epochs": [1, 2]})


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
        config["learning_rate"],
        use_ema=True,
        ema_momentum=0.9,
        ema_overwrite_frequency=config["every"],
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
