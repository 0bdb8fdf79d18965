"""Learning a distribution: Kullback-Leibler divergence from smoothed one-hot rows."""

import keras
from _data import one_hot

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"learning_rate": [0.03], "epsilon": [1e-7, 0.1]})


def load_data():
    return {part: (x, 0.8 * y + 0.2 / 3) for part, (x, y) in one_hot().items()}


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(config["learning_rate"], epsilon=config["epsilon"])
    model.compile(optimizer=optimizer, loss=keras.losses.KLDivergence(), metrics=["accuracy"])
    return model
