"""A stateful LSTM, whose batch size is fixed in the model."""

import keras
import numpy as np
from _data import split

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"batch_size": [16], "learning_rate": [0.003, 0.03], "epochs": [1, 2]})


def load_data():
    wave = np.sin(np.arange(170) * 0.3).astype("float32")
    x = np.stack([wave[i : i + 6] for i in range(160)])[..., None]
    return split(x, wave[6:166, None])


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(config["batch_size"], 6, 1)),
            keras.layers.LSTM(4, stateful=True),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(config["learning_rate"]), loss="mse")
    return model
