"""One answer a step: TimeDistributed dense layers on an LSTM's sequences."""

import keras
import numpy as np
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.01, 0.05]})


def load_data():
    return {
        part: (x, (np.diff(x[:, :, :1], axis=1, prepend=0) > 0).astype("float32"))
        for part, (x, _) in sequences().items()
    }


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.LSTM(4, return_sequences=True),
            keras.layers.TimeDistributed(keras.layers.Dense(3, activation="relu")),
            keras.layers.SpatialDropout1D(config["dropout"]),
            keras.layers.TimeDistributed(keras.layers.Dense(1, activation="sigmoid")),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
