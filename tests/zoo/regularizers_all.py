"""Regularizers by L1, L2, both, and orthogonality; an l1 of 0 in L1L2 is another program."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"l1": [0.0, 0.01], "orthogonal": [0.001, 0.1]})


def load_data():
    return binary()


def build_model(config):
    regularizers = keras.regularizers
    both = regularizers.L1L2(l1=config["l1"], l2=0.01)
    orthogonal = regularizers.OrthogonalRegularizer(factor=config["orthogonal"])
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu", kernel_regularizer=orthogonal),
            keras.layers.Dense(
                4,
                activation="relu",
                kernel_regularizer=both,
                bias_regularizer=regularizers.L1(config["l1"]),
            ),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
