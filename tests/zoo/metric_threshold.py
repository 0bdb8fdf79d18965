"""Precision and recall whose threshold is an axis, which moves no weight."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_recall"
grid = Grid({"batch_size": [20], "threshold": [0.3, 0.5, 0.7]})


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
    model.compile(
        optimizer=keras.optimizers.Adam(0.03),
        loss="binary_crossentropy",
        metrics=[
            keras.metrics.Precision(thresholds=config["threshold"], name="precision"),
            keras.metrics.Recall(thresholds=config["threshold"], name="recall"),
            keras.metrics.BinaryAccuracy(threshold=config["threshold"], name="accuracy"),
        ],
    )
    return model
