"""How many of the first layers are frozen is an axis of structure."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 3
ENGINE = "vectorized"

grid = Grid({"frozen": [0, 1, 2], "learning_rate": [0.01, 0.05]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    for layer in model.layers[: config["frozen"]]:
        layer.trainable = False
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
