"""Residual blocks; how many is structure, the weight of the branch is a number."""

import keras
from _data import binary
from keras import layers

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"blocks": [1, 2], "scale": [0.1, 1.0]})


def load_data():
    return binary()


def build_model(config):
    inputs = keras.Input((8,))
    x = inputs
    for _ in range(config["blocks"]):
        branch = layers.Dense(8, activation="relu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Rescaling(config["scale"])(branch)])
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
