"""Quantile regression: the quantile is in the closure of the loss."""

import keras
from _data import regression
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"quantile": [0.1, 0.5, 0.9], "epochs": [1, 3]})


def pinball(quantile):
    def loss(y_true, y_pred):
        error = y_true - y_pred
        return ops.mean(ops.maximum(quantile * error, (quantile - 1) * error), axis=-1)

    return loss


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
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=pinball(config["quantile"]))
    return model
