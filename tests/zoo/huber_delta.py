"""Huber's loss, whose delta is an axis."""

import keras
from _data import regression

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"delta": [0.1, 1.0, 3.0], "epochs": [1, 2]})


def load_data():
    return regression()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.Huber(delta=config["delta"]),
        metrics=["mae"],
    )
    return model
