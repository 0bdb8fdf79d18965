"""Different rates for different layers, by scaling their gradients."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"slower": [0.1, 1.0], "learning_rate": [0.2]})


class Scaled(keras.optimizers.SGD):
    def __init__(self, learning_rate, factor, slow, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.factor, self.slow = factor, {id(variable) for variable in slow}

    def update_step(self, gradient, variable, learning_rate):
        if id(variable) in self.slow:
            gradient = self.factor * gradient
        super().update_step(gradient, variable, learning_rate)


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
    optimizer = Scaled(config["learning_rate"], config["slower"], model.layers[0].variables)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
