"""A recommender: embeddings of users and items, their product, and L2 on both."""

import keras
import numpy as np
from _data import ROWS, split

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"l2": [0.0, 0.01], "learning_rate": [0.05]})


def load_data():
    random = np.random.default_rng(0)
    user, item = (random.integers(0, 9, (ROWS, 1)).astype("int32") for _ in range(2))
    rating = np.sin(user) * np.cos(item)
    return split({"user": user, "item": item}, rating.astype("float32"))


def build_model(config):
    regularizer = keras.regularizers.L2(config["l2"])
    ids = {name: keras.Input((1,), name=name, dtype="int32") for name in ("user", "item")}
    vectors = [
        keras.layers.Embedding(9, 3, embeddings_regularizer=regularizer)(one)
        for one in ids.values()
    ]
    product = keras.layers.Flatten()(keras.layers.Dot(axes=2)(vectors))
    model = keras.Model(ids, product)
    model.compile(
        optimizer=keras.optimizers.Adagrad(config["learning_rate"]), loss="mse", metrics=["mae"]
    )
    return model
