"""Three ways to clip gradients, each with its limit as a number."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 3
ENGINE = "vectorized"

grid = Grid({"clip": ["clipnorm", "clipvalue", "global_clipnorm"], "limit": [0.01, 0.1]})


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
    optimizer = keras.optimizers.SGD(0.5, **{config["clip"]: config["limit"]})
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
