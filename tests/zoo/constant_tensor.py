"""A tensor made in build_model from the grid's seed: random features that never learn."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"features_seed": [1, 2, 3], "learning_rate": [0.02]})


def load_data():
    return binary()


def build_model(config):
    features = keras.random.normal((8, 12), seed=config["features_seed"])
    inputs = keras.Input((8,))
    hidden = keras.layers.Lambda(lambda x: ops.cos(x @ features), output_shape=(12,))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
