"""An LSTM whose dropout and recurrent dropout are axes, 0 beside other values."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.2], "recurrent_dropout": [0.0, 0.3], "learning_rate": [0.01]})


def load_data():
    return sequences()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.LSTM(
                4, dropout=config["dropout"], recurrent_dropout=config["recurrent_dropout"]
            ),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
