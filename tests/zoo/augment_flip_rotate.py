"""Augmentation in the model: flips, rotations and zooms, whose ranges are axes."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rotation": [0.1, 0.3], "zoom": [0.1, 0.4]})


def load_data():
    return images()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(config["rotation"]),
            keras.layers.RandomZoom(config["zoom"]),
            keras.layers.Conv2D(2, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
