"""EinsumDense over the steps of a sequence, with a bias and a regularizer."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"l1": [0.0, 0.01], "learning_rate": [0.02]})


def load_data():
    return sequences()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.EinsumDense(
                "bsi,sio->bo",
                output_shape=4,
                bias_axes="o",
                activation="relu",
                kernel_regularizer=keras.regularizers.L1(config["l1"]),
            ),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
