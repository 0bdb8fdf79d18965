"""The kind of pooling is an axis of structure, learning rates share each one's program."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 3
ENGINE = "vectorized"

grid = Grid({"pooling": ["max", "average", "overlapping"], "learning_rate": [0.003, 0.03]})

POOLING = {
    "max": lambda: keras.layers.MaxPooling2D(2, padding="same"),
    "average": lambda: keras.layers.AveragePooling2D(2),
    "overlapping": lambda: keras.layers.MaxPooling2D(3, strides=2),
}


def load_data():
    return images()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 2, activation="relu"),
            POOLING[config["pooling"]](),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
