"""Every layer of noise, each with 0 beside another value."""

import keras
from _data import binary
from keras import layers

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"gaussian": [0.0, 0.3], "noise": [0.0, 0.2], "alpha": [0.0, 0.2]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.GaussianNoise(config["noise"]),
            layers.Dense(8, activation="selu", kernel_initializer="lecun_normal"),
            layers.AlphaDropout(config["alpha"]),
            layers.Dense(4, activation="relu"),
            layers.GaussianDropout(config["gaussian"]),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
