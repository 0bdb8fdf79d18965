"""Initial weights by an initializer whose scale and seed are axes: numbers only the start shows."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"stddev": [0.05, 1.0], "weights_seed": [1, 2], "learning_rate": [0.01]})


def load_data():
    return binary()


def build_model(config):
    start = keras.initializers.RandomNormal(stddev=config["stddev"], seed=config["weights_seed"])
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="tanh", kernel_initializer=start),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
