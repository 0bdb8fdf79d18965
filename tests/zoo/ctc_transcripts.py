"""Connectionist temporal classification: sequences to shorter sequences of labels."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"dropout": [0.0, 0.2], "learning_rate": [0.02]})


def load_data():
    return {
        part: (x, (1 + (x[:, ::3, 0] > 0)).astype("int32")) for part, (x, _) in sequences().items()
    }


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Conv1D(4, 3, padding="same", activation="relu"),
            keras.layers.Dropout(config["dropout"]),
            keras.layers.Dense(3),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(config["learning_rate"]), loss=keras.losses.CTC())
    return model
