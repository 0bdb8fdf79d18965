"""Two-dimensional convolutions with groups, strides and dilation on images of four channels."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"l2": [0.0, 0.01], "learning_rate": [0.003, 0.03]})


def load_data():
    return images(channels=4)


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.Conv2D(
                8,
                3,
                strides=2,
                padding="same",
                groups=2,
                activation="relu",
                kernel_regularizer=keras.regularizers.L2(config["l2"]),
            ),
            keras.layers.Conv2D(4, 2, dilation_rate=2, activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.RMSprop(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
