"""An optimizer of the user's own with another rate for biases, not in get_config."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"ratio": [1.0, 10.0], "learning_rate": [0.05]})


class TwoRates(keras.optimizers.SGD):
    def __init__(self, learning_rate, ratio, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.bias_rate = ratio * learning_rate

    def update_step(self, gradient, variable, learning_rate):
        if len(variable.shape) == 1:
            learning_rate = self.bias_rate
        step = ops.multiply(gradient, ops.cast(learning_rate, variable.dtype))
        self.assign_sub(variable, step)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = TwoRates(config["learning_rate"], config["ratio"])
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
