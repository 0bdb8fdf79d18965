"""Causal and dilated one-dimensional convolutions; dilation is structure, its rate a number."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"dilation": [1, 2], "learning_rate": [0.003, 0.03]})


def load_data():
    return sequences()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Conv1D(4, 2, padding="causal", activation="relu"),
            keras.layers.Conv1D(4, 2, padding="causal", dilation_rate=config["dilation"]),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
