"""Adamax and Nadam with beta_2 as an axis."""

import keras
from _data import regression

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"optimizer": ["Adamax", "Nadam"], "beta_2": [0.9, 0.999], "learning_rate": [0.01]})


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
    optimizer = getattr(keras.optimizers, config["optimizer"])(
        config["learning_rate"], beta_2=config["beta_2"]
    )
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae"])
    return model
