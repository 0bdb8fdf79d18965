"""Segmentation judged by the mean intersection over union."""

import keras
from _data import masks

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_iou"
grid = Grid({"learning_rate": [0.03], "threshold": [0.4, 0.6]})


def load_data():
    return masks()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(1, 1, activation="sigmoid"),
        ]
    )
    iou = keras.metrics.BinaryIoU(threshold=config["threshold"], name="iou")
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=[iou],
    )
    return model
