"""Muon for the kernel within, Adam for what its pattern leaves out."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"learning_rate": [0.03], "momentum": [0.9, 0.95]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid", name="answer"),
        ]
    )
    optimizer = keras.optimizers.Muon(
        config["learning_rate"],
        momentum=config["momentum"],
        exclude_layers=["answer"],
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
