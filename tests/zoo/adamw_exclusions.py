"""AdamW; whether biases and a normalization are left out of weight decay is structure."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"decay_all": [True, False], "weight_decay": [0.1, 1.0], "epochs": [2]})


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu", bias_initializer="ones"),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.AdamW(0.02, weight_decay=config["weight_decay"])
    if not config["decay_all"]:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
