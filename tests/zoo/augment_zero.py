"""Augmentation whose range is 0 beside other values."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rotation": [0.0, 0.2], "contrast": [0.0, 0.4]})


def load_data():
    return images()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.RandomRotation(config["rotation"]),
            keras.layers.RandomContrast(config["contrast"]),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.02), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
