"""Separable and depthwise convolutions over time, with constraints on their kernels."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"max_norm": [0.5, 2.0], "learning_rate": [0.01, 0.1]})


def load_data():
    return sequences()


def build_model(config):
    limit = keras.constraints.MaxNorm(config["max_norm"])
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.SeparableConv1D(4, 2, activation="relu", pointwise_constraint=limit),
            keras.layers.DepthwiseConv1D(2, padding="same"),
            keras.layers.GlobalMaxPooling1D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
