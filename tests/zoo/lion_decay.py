"""Lion, which takes signs, with weight decay as an axis."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"weight_decay": [0.01, 1.0], "learning_rate": [0.01]})


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
    optimizer = keras.optimizers.Lion(config["learning_rate"], weight_decay=config["weight_decay"])
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
