"""BatchNormalization whose momentum and epsilon are axes, with a short last batch."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid(
    {"batch_size": [28], "momentum": [0.5, 0.99], "epsilon": [0.001, 0.1], "epochs": [1, 2]}
)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, use_bias=False),
            keras.layers.BatchNormalization(momentum=config["momentum"], epsilon=config["epsilon"]),
            keras.layers.Activation("relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
