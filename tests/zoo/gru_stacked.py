"""Two GRUs one on the other, the first of which returns sequences; dropout of the second."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.4], "learning_rate": [0.003, 0.03], "epochs": [1, 2]})


def load_data():
    return sequences()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.GRU(4, return_sequences=True),
            keras.layers.GRU(3, dropout=config["dropout"], reset_after=False),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
