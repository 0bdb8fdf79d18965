"""A dense network with dropout, weight decay by L2, a short last batch and two lengths."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid(
    {
        "batch_size": [20],
        "dropout": [0.0, 0.3],
        "l2": [0.0, 0.01],
        "learning_rate": [0.01],
        "epochs": [1, 2],
    }
)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(
                8, activation="relu", kernel_regularizer=keras.regularizers.L2(config["l2"])
            ),
            keras.layers.Dropout(config["dropout"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
