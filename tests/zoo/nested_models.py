"""Models in models, two deep, with dropout in the innermost."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.4], "learning_rate": [0.003, 0.03]})


def load_data():
    return binary()


def build_model(config):
    core = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dropout(config["dropout"]),
            keras.layers.Dense(4, activation="relu"),
        ]
    )
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(6, activation="tanh")(inputs)
    body = keras.Model(inputs, core(hidden))
    model = keras.Sequential([keras.Input((8,)), body, keras.layers.Dense(1, activation="sigmoid")])
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
