"""Recurrent layers in both directions; how the two are joined is structure."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"merge": ["concat", "sum"], "learning_rate": [0.003, 0.03]})


def load_data():
    return sequences(steps=4)


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.Bidirectional(keras.layers.LSTM(3), merge_mode=config["merge"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.RMSprop(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
