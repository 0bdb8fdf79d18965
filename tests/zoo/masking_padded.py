"""Sequences filled up with a number that Masking leaves out; the number is an axis."""

import keras
import numpy as np
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"mask_value": [0.0, -1.0], "learning_rate": [0.01, 0.05]})


def load_data():
    def padded(x):
        x = x.copy()
        lengths = 2 + np.arange(len(x)) % 5
        x[np.arange(6) >= lengths[:, None]] = -1.0
        return x

    return {part: (padded(x), y) for part, (x, y) in sequences().items()}


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Masking(config["mask_value"]),
            keras.layers.LSTM(4),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
