"""PiecewiseConstantDecay whose boundary and values come from the grid."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"boundary": [1, 4], "first": [0.02, 0.1], "epochs": [2]})


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
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [config["boundary"], 5], [config["first"], 0.01, 0.001]
    )
    optimizer = keras.optimizers.RMSprop(schedule)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
