"""The initializer's name is an axis, which changes no program, only where it starts."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid(
    {"initializer": ["glorot_uniform", "he_normal", "orthogonal", "zeros"], "bias": [0.0, 0.5]}
)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(
                6,
                activation="tanh",
                kernel_initializer=config["initializer"],
                bias_initializer=keras.initializers.Constant(config["bias"]),
            ),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
