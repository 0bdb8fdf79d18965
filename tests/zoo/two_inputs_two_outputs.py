"""Two inputs, one of integers, two outputs with their own losses, metrics and weights."""

import keras
import numpy as np
from _data import ROWS, numbers, split

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_price_mae"
grid = Grid({"batch_size": [40], "weight": [0.1, 2.0], "learning_rate": [0.003, 0.03]})


def load_data():
    size = numbers(3)
    kind = np.random.default_rng(1).integers(0, 5, (ROWS, 1)).astype("int32")
    price = size.sum(axis=1, keepdims=True) + kind
    return split(
        {"size": size, "kind": kind},
        {"price": price.astype("float32"), "sold": (price > 2).astype("float32")},
    )


def build_model(config):
    size = keras.Input((3,), name="size")
    kind = keras.Input((1,), name="kind", dtype="int32")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(kind))
    hidden = keras.layers.Concatenate()([size, embedded])
    hidden = keras.layers.Dense(8, activation="relu")(hidden)
    model = keras.Model(
        {"size": size, "kind": kind},
        {
            "price": keras.layers.Dense(1, name="price")(hidden),
            "sold": keras.layers.Dense(1, activation="sigmoid", name="sold")(hidden),
        },
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss={"price": "mse", "sold": "binary_crossentropy"},
        loss_weights={"price": 1.0, "sold": config["weight"]},
        metrics={"price": ["mae"], "sold": ["accuracy"]},
    )
    return model
