"""A tiny problem in which two axes move a number, but together end the worker that trains them."""

import os

import numpy as np

from tuning import Grid

grid = Grid({"one": [0, 1], "other": [0, 1]})
looks = []


def load_data():
    x = np.random.default_rng(0).normal(size=(72, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    return dict.fromkeys(("train", "validation", "test"), (x, y))


def build_model(config):
    import keras

    both = config["one"] * config["other"]
    looks.append(both)
    if sum(looks) > 1:  # the first look proves what it does, the next is for the short last batch
        os._exit(3)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1 + both), keras.layers.Dense(1)]
    )
    rate = 0.01 * (1 + config["one"] + 2 * config["other"])
    model.compile(keras.optimizers.SGD(rate), "mean_squared_error", metrics=["accuracy"])
    return model
