"""A helper whose default argument is a regularizer, made once when the file is read."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.03]})


def block(x, units, regularizer=keras.regularizers.L2(0.005)):  # noqa: B008
    return keras.layers.Dense(units, activation="relu", kernel_regularizer=regularizer)(x)


def load_data():
    return binary()


def build_model(config):
    inputs = keras.Input((8,))
    hidden = keras.layers.Dropout(config["dropout"])(block(block(inputs, 6), 4))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
