"""SpatialDropout on sequences and Dropout with a noise shape."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"spatial": [0.0, 0.5], "shared": [0.0, 0.3], "epochs": [2]})


def load_data():
    return sequences()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Conv1D(6, 3, activation="relu"),
            keras.layers.SpatialDropout1D(config["spatial"]),
            keras.layers.Dropout(config["shared"], noise_shape=(None, 1, 6)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
