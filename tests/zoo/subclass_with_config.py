"""A subclassed model with get_config that drops out in training only, its rate an axis."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rate": [0.0, 0.4], "learning_rate": [0.003, 0.03]})


class Network(keras.Model):
    def __init__(self, units, rate, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.dropout = keras.layers.Dropout(rate)
        self.last = keras.layers.Dense(1, activation="sigmoid")

    def call(self, inputs, training=False):
        x = self.hidden(inputs)
        if training:
            x = self.dropout(x, training=training)
        return self.last(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}


def load_data():
    return binary()


def build_model(config):
    model = Network(6, config["rate"])
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
