"""A tiny problem in which two axes do nothing, but together end the worker that trains them."""

import os

import numpy as np

from tuning import Grid

grid = Grid({"one": [0, 1], "other": [0, 1]})
looks = []


def load_data():
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    return dict.fromkeys(("train", "validation", "test"), (x, y))


def build_model(config):
    import keras

    both = config["one"] * config["other"]
    looks.append(both)
    if sum(looks) > 1:  # the first look finds that it shares no program with the rest
        os._exit(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1 + both)])
    model.compile("sgd", "mean_squared_error", metrics=["accuracy"])
    return model
