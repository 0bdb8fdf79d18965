"""A convolutional autoencoder: y is x, transposed convolutions, judged by its loss."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"batch_size": [20], "noise": [0.0, 0.2], "learning_rate": [0.003, 0.01]})


def load_data():
    return {part: (x, x) for part, (x, _) in images().items()}


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.GaussianNoise(config["noise"]),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(config["learning_rate"]), loss="mse")
    return model
