"""Embeddings fitted by cosine similarity, normalized to length one."""

import keras
from _data import one_hot

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"learning_rate": [0.03], "dropout": [0.0, 0.2]})


def load_data():
    return one_hot()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.Dropout(config["dropout"]),
            keras.layers.Dense(3),
            keras.layers.UnitNormalization(),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss=keras.losses.CosineSimilarity(axis=-1),
        metrics=["cosine_similarity"],
    )
    return model
