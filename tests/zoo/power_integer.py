"""A power of the error by whole numbers, which the trace has as structure."""

import keras
from _data import regression

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"power": [2, 4], "learning_rate": [0.01, 0.05]})


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
    power = config["power"]
    model.compile(
        optimizer=keras.optimizers.SGD(config["learning_rate"]),
        loss=lambda y_true, y_pred: (y_true - y_pred) ** power,
        metrics=["mae"],
    )
    return model
