"""RMSprop: rho and epsilon are numbers, centered is structure."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"centered": [False, True], "rho": [0.8, 0.95], "epsilon": [0.01]})


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
    optimizer = keras.optimizers.RMSprop(
        0.01,
        rho=config["rho"],
        momentum=0.5,
        epsilon=config["epsilon"],
        centered=config["centered"],
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
