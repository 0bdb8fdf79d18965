"""Which schedule is structure, its numbers are shared: polynomial, inverse time, restarts."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 3
ENGINE = "vectorized"

grid = Grid({"schedule": ["polynomial", "inverse", "restarts"], "start": [0.01, 0.1]})

SCHEDULES = {
    "polynomial": lambda start: keras.optimizers.schedules.PolynomialDecay(
        start, 6, 0.001, power=2.0
    ),
    "inverse": lambda start: keras.optimizers.schedules.InverseTimeDecay(start, 2, 0.5),
    "restarts": lambda start: keras.optimizers.schedules.CosineDecayRestarts(start, 3),
}


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
    optimizer = keras.optimizers.Adam(SCHEDULES[config["schedule"]](config["start"]))
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
