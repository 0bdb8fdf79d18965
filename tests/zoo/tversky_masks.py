"""Segmentation with Tversky's loss: the weights of both errors are axes."""

import keras
from _data import masks

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"alpha": [0.3, 0.7], "beta": [0.3, 0.7]})


def load_data():
    return masks()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(1, 1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss=keras.losses.Tversky(alpha=config["alpha"], beta=config["beta"]),
        metrics=["accuracy"],
    )
    return model
