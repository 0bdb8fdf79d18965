"""A layer that counts in Python how often it was called, and uses the count."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "fit"

grid = Grid({"learning_rate": [0.01, 0.05]})


class Fading(keras.layers.Layer):
    calls = 0

    def call(self, inputs):
        Fading.calls += 1
        return inputs * (1 + 1 / Fading.calls)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            Fading(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
