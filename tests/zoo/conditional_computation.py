"""A layer that chooses a branch by ops.cond and repeats one by ops.while_loop."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"threshold": [0.0, 0.5], "factor": [0.5, 0.9]})


class Branch(keras.layers.Layer):
    def __init__(self, threshold, factor, **kwargs):
        super().__init__(**kwargs)
        self.threshold, self.factor = threshold, factor

    def call(self, inputs):
        large = ops.mean(inputs) > self.threshold
        x = ops.cond(large, lambda: self.factor * inputs, lambda: inputs - self.factor)
        (small,) = ops.while_loop(
            lambda y: ops.max(y) > 1.0, lambda y: (self.factor * y,), (ops.stop_gradient(x),)
        )
        return x + small


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            Branch(config["threshold"], config["factor"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
