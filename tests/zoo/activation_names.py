"""The activation's name as an axis: every name is a program."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 4
ENGINE = "vectorized"

grid = Grid({"activation": ["relu", "swish", "gelu", "softplus"], "learning_rate": [0.003, 0.03]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation=config["activation"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
