"""Attention of a query over a sequence, with dropout of its scores."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.003, 0.03]})


def load_data():
    return sequences()


def build_model(config):
    inputs = keras.Input((6, 3))
    keys = keras.layers.Dense(4)(inputs)
    query = keras.layers.Dense(4, activation="tanh")(inputs)
    seen = keras.layers.Attention(use_scale=True, dropout=config["dropout"])([query, keys])
    seen = keras.layers.AdditiveAttention()([query, seen])
    pooled = keras.layers.GlobalAveragePooling1D()(seen)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(pooled))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
