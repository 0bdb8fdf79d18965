"""One dense layer with dropout, used three times in a chain."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rate": [0.0, 0.3], "learning_rate": [0.05]})


def load_data():
    return binary()


def build_model(config):
    shared = keras.layers.Dense(8, activation="tanh")
    dropout = keras.layers.Dropout(config["rate"])
    inputs = keras.Input((8,))
    x = inputs
    for _ in range(3):
        x = dropout(shared(x))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
