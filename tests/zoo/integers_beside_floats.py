"""Whole numbers beside fractions; the activation keeps 0 an integer, which is another program."""

import keras
from _data import regression

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"delta": [0.5, 1], "slope": [0, 0.3]})


def load_data():
    return regression()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6),
            keras.layers.LeakyReLU(config["slope"]),
            keras.layers.Dense(1),
        ]
    )
    loss = keras.losses.Huber(config["delta"])
    model.compile(optimizer=keras.optimizers.SGD(1 / 10), loss=loss, metrics=["mae"])
    return model
