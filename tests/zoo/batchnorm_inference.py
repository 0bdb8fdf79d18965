"""Fine-tuning with a BatchNormalization called with training=False."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"epsilon": [0.001, 0.5], "learning_rate": [0.05]})


def load_data():
    return binary()


def build_model(config):
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    normalization = keras.layers.BatchNormalization(epsilon=config["epsilon"])
    model = keras.Model(
        inputs, keras.layers.Dense(1, activation="sigmoid")(normalization(hidden, training=False))
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
