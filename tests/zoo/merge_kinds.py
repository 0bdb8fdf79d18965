"""How two branches merge is structure: their product, mean or maximum."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 3
ENGINE = "vectorized"

grid = Grid({"merge": ["Multiply", "Average", "Maximum"], "learning_rate": [0.02, 0.1]})


def load_data():
    return binary()


def build_model(config):
    inputs = keras.Input((8,))
    branches = [keras.layers.Dense(4, activation=name)(inputs) for name in ("relu", "tanh")]
    merged = getattr(keras.layers, config["merge"])()(branches)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(merged))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
