"""A Normalization layer adapted to the training data in build_model."""

import keras
from _data import regression

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"learning_rate": [0.05], "delta": [0.5, 2.0]})


def load_data():
    return {part: (20 * x + 5, y) for part, (x, y) in regression().items()}


def build_model(config):
    normalization = keras.layers.Normalization()
    normalization.adapt(load_data()["train"][0])
    model = keras.Sequential(
        [
            keras.Input((8,)),
            normalization,
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss=keras.losses.Huber(config["delta"]),
        metrics=["mae"],
    )
    return model
