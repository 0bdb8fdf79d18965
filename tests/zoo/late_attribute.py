"""A layer whose factor is set after it was made; its constructor knows nothing of it."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"factor": [0.1, 1.0, 10.0], "learning_rate": [0.01]})


class Scale(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.factor = 1.0

    def call(self, inputs):
        return inputs * self.factor


def load_data():
    return binary()


def build_model(config):
    scale = Scale()
    scale.factor = config["factor"]
    model = keras.Sequential(
        [
            keras.Input((8,)),
            scale,
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
