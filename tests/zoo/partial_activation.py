"""An activation given as a partial with a slope from the grid."""

from functools import partial

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"slope": [0.0, 0.1, 0.5], "learning_rate": [0.01]})


def load_data():
    return binary()


def build_model(config):
    activation = partial(keras.activations.leaky_relu, negative_slope=config["slope"])
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation=activation),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
