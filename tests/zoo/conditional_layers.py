"""A grid of which some axes do not apply: the second layer's units where there is none."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 3
ENGINE = "vectorized"

grid = Grid({"layers": [1, 2], "units_2": [3, 4], "learning_rate": [0.01, 0.05]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential([keras.Input((8,))])
    for i in range(1, config["layers"] + 1):
        units = 5 if i == 1 else config[f"units_{i}"]
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
