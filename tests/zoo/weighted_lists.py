"""A list of inputs, a tuple of outputs, one of them boolean, and one weight a row for both."""

import keras
import numpy as np
from _data import ROWS, TRAIN, VALIDATION, numbers

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_price_mae"
grid = Grid({"batch_size": [40], "weight": [0.1, 2.0], "learning_rate": [0.003, 0.03]})


def load_data():
    size, kind = numbers(3), np.random.default_rng(1).integers(0, 5, (ROWS, 1))
    price = size.sum(axis=1, keepdims=True) + kind
    arrays = size, kind, price, price > 2, np.linspace(0.0, 3.0, ROWS)
    cuts = {"train": slice(TRAIN), "validation": slice(TRAIN, TRAIN + VALIDATION)}
    cuts["test"] = slice(TRAIN + VALIDATION, ROWS)
    data = {}
    for split, rows in cuts.items():
        size, kind, price, sold, weight = (array[rows] for array in arrays)
        data[split] = [size, kind], (price, sold), weight
    return data


def build_model(config):
    size, kind = keras.Input((3,)), keras.Input((1,), dtype="int32")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(kind))
    hidden = keras.layers.Concatenate()([size, embedded])
    hidden = keras.layers.Dense(8, activation="relu")(hidden)
    model = keras.Model(
        [size, kind],
        [
            keras.layers.Dense(1, name="price")(hidden),
            keras.layers.Dense(1, activation="sigmoid", name="sold")(hidden),
        ],
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss=["mse", "binary_crossentropy"],
        loss_weights=[1.0, config["weight"]],
        metrics=[["mae"], ["accuracy"]],
        weighted_metrics=[["mae"], None],
    )
    return model
