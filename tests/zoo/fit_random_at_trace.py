"""A loss that draws from NumPy when it is traced, so that no two traces are alike."""

import keras
import numpy as np
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "fit"

grid = Grid({"spread": [0.1, 0.3], "learning_rate": [0.03]})


def shaken(spread):
    def loss(y_true, y_pred):
        factor = 1 + spread * float(np.random.uniform())
        return factor * keras.losses.binary_crossentropy(y_true, y_pred)

    return loss


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
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss=shaken(config["spread"]),
        metrics=["accuracy"],
    )
    return model
