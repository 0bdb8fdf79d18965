"""One regularizer object, made at the top of the file, in two layers of every model."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"learning_rate": [0.003, 0.01, 0.03], "epochs": [1, 2]})

REGULARIZER = keras.regularizers.L2(0.01)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu", kernel_regularizer=REGULARIZER),
            keras.layers.Dense(4, activation="relu", kernel_regularizer=REGULARIZER),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
