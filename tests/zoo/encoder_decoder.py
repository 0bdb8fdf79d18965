"""An encoder's states begin a decoder: sequence to sequence with teacher forcing."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.05]})


def load_data():
    def pair(x):
        return {"past": x[:, :4], "before": x[:, 3:-1]}, x[:, 4:, :1]

    return {part: pair(x) for part, (x, _) in sequences(steps=7).items()}


def build_model(config):
    past = keras.Input((4, 3), name="past")
    before = keras.Input((3, 3), name="before")
    _, *states = keras.layers.LSTM(4, return_state=True, dropout=config["dropout"])(past)
    decoded = keras.layers.LSTM(4, return_sequences=True)(before, initial_state=states)
    model = keras.Model({"past": past, "before": before}, keras.layers.Dense(1)(decoded))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]), loss="mse", metrics=["mae"]
    )
    return model
