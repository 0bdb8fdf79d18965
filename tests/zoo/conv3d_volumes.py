"""Three-dimensional convolution and pooling on small volumes."""

import keras
import numpy as np
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"noise": [0.0, 0.1], "learning_rate": [0.003, 0.03]})


def load_data():
    return {
        part: (np.repeat(x[:, :, :, None], 4, axis=3), y) for part, (x, y) in images(size=6).items()
    }


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 4, 1)),
            keras.layers.GaussianNoise(config["noise"]),
            keras.layers.Conv3D(3, (3, 3, 2), activation="relu"),
            keras.layers.MaxPooling3D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
