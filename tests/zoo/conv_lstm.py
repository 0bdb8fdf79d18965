"""A convolutional LSTM over short films, with dropout as an axis."""

import keras
import numpy as np
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.003, 0.03]})


def load_data():
    return {
        part: (np.stack([x, x[:, ::-1], x], axis=1), y) for part, (x, y) in images(size=5).items()
    }


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((3, 5, 5, 1)),
            keras.layers.ConvLSTM2D(2, 3, dropout=config["dropout"]),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
