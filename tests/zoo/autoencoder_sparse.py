"""An autoencoder with a sparse code: y is x, an activity regularizer, a short last batch."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"batch_size": [36], "sparsity": [0.0, 0.001, 0.1], "epochs": [1, 2]})


def load_data():
    return {part: (x, x) for part, (x, _) in binary().items()}


def build_model(config):
    inputs = keras.Input((8,))
    code = keras.layers.Dense(
        3, activation="relu", activity_regularizer=keras.regularizers.L1(config["sparsity"])
    )(inputs)
    model = keras.Model(inputs, keras.layers.Dense(8)(code))
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
    return model
