"""Top-k accuracy and a mean IoU over integer classes; k is a number like any other."""

import keras
from _data import classes

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_top"
grid = Grid({"k": [2, 3], "learning_rate": [0.03]})


def load_data():
    return classes(n=5)


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=[
            keras.metrics.SparseTopKCategoricalAccuracy(k=config["k"], name="top"),
            keras.metrics.MeanIoU(5, sparse_y_pred=False, name="iou"),
        ],
    )
    return model
