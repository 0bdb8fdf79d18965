"""A metric that wraps a function with a threshold in its closure."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_right"
grid = Grid({"threshold": [0.3, 0.7], "learning_rate": [0.01]})


def share_right(threshold):
    def right(y_true, y_pred):
        return ops.cast(ops.equal(y_true > 0.5, y_pred > threshold), "float32")

    return right


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    above = keras.metrics.MeanMetricWrapper(share_right(config["threshold"]), name="right")
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=[above],
    )
    return model
