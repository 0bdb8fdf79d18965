"""Transposed convolution over time with strides and padding "valid"."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"learning_rate": [0.003, 0.03], "beta_1": [0.8, 0.95]})


def load_data():
    return {part: (x, x) for part, (x, _) in sequences().items()}


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Conv1D(5, 2, strides=2, activation="elu"),
            keras.layers.Conv1DTranspose(3, 2, strides=2),
        ]
    )
    optimizer = keras.optimizers.Adam(config["learning_rate"], beta_1=config["beta_1"])
    model.compile(optimizer=optimizer, loss="mae")
    return model
