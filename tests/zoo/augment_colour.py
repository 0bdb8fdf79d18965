"""Augmentation of contrast, brightness and place, with ranges as axes."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"contrast": [0.1, 0.5], "brightness": [0.1, 0.3]})


def load_data():
    return images(channels=3)


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(2.0, offset=-1.0),
            keras.layers.RandomContrast(config["contrast"], value_range=(-1, 1)),
            keras.layers.RandomBrightness(config["brightness"], value_range=(-1, 1)),
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
