"""Adam's beta_1 is a number, amsgrad is structure; a short last batch."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"batch_size": [20], "amsgrad": [False, True], "beta_1": [0.8, 0.9], "beta_2": [0.99]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.Adam(
        0.01, beta_1=config["beta_1"], beta_2=config["beta_2"], amsgrad=config["amsgrad"]
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
