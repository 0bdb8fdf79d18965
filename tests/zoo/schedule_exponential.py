"""ExponentialDecay: rate, decay and steps are numbers, staircase is structure."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"staircase": [False, True], "decay": [0.5, 0.9], "steps": [2]})


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
    schedule = keras.optimizers.schedules.ExponentialDecay(
        0.05, config["steps"], config["decay"], staircase=config["staircase"]
    )
    optimizer = keras.optimizers.Adam(schedule)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
