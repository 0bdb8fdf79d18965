"""A subclassed model without get_config, whose gain is an attribute used in call."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"gain": [0.5, 2.0], "learning_rate": [0.003, 0.03], "epochs": [1, 2]})


class Gated(keras.Model):
    def __init__(self, gain):
        super().__init__()
        self.gain = gain
        self.gate = keras.layers.Dense(6, activation="sigmoid")
        self.hidden = keras.layers.Dense(6, activation="tanh")
        self.last = keras.layers.Dense(1, activation="sigmoid")

    def call(self, inputs):
        return self.last(self.gain * self.gate(inputs) * self.hidden(inputs))


def load_data():
    return binary()


def build_model(config):
    model = Gated(config["gain"])
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
