"""One-dimensional convolutions with strides, padding "same" and a short last batch."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"batch_size": [40], "l1": [0.0, 0.01], "learning_rate": [0.01, 0.1]})


def load_data():
    return sequences(steps=9)


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((9, 3)),
            keras.layers.Conv1D(
                6,
                3,
                strides=2,
                padding="same",
                activation="tanh",
                kernel_regularizer=keras.regularizers.L1(config["l1"]),
            ),
            keras.layers.Conv1D(4, 2, strides=2, use_bias=False),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
