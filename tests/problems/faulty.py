"""A tiny problem whose models do, where both axes say so, what a search has to survive."""

import ctypes
import os
import re
import time

import numpy as np

from tuning import Grid

TROUBLES = ["none", "raises", "exits", "segfaults", "hangs", "hangs in C", "eats", "prints"]

grid = Grid({"trouble": TROUBLES, "on": [False, True], "rate": [0.01], "epochs": [1]})


def load_data():
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    return dict.fromkeys(("train", "validation", "test"), (x, y))


def build_model(config):
    import keras

    if config["on"]:
        make(config["trouble"])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(config["rate"]), "binary_crossentropy", metrics=["accuracy"])
    return model


def make(trouble):
    match trouble:
        case "raises":
            raise ValueError("=cmd|' /C calc'!A0")
        case "exits":
            os._exit(3)
        case "segfaults":
            ctypes.string_at(0)
        case "hangs":
            time.sleep(3600)
        case "hangs in C":  # and does not let go of the interpreter
            re.match("(a*)*b", "a" * 64)
        case "eats":
            eaten = []
            for _ in range(50):
                eaten.append(np.ones(2**24))
        case "prints":
            for _ in range(40):
                print("x" * 100_000)
                os.write(2, b"y" * 100_000)
