"""A block of the user's own with a dense layer and dropout inside."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rate": [0.0, 0.3], "learning_rate": [0.05]})


class Block(keras.layers.Layer):
    def __init__(self, units, rate, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(units, activation="relu")
        self.dropout = keras.layers.Dropout(rate)

    def call(self, inputs, training=None):
        return self.dropout(self.dense(inputs), training=training)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [keras.Input((8,)), Block(6, config["rate"]), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
