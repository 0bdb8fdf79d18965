"""Dropout that is on in validation too, as for an estimate of uncertainty."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rate": [0.1, 0.5], "epochs": [1, 2]})


def load_data():
    return binary()


def build_model(config):
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    hidden = keras.layers.Dropout(config["rate"])(hidden, training=True)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(
        optimizer=keras.optimizers.Adam(0.02), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
