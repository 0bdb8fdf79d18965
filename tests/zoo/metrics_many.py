"""Many metrics with state beside the loss: AUC, precision, recall, F1."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_auc"
grid = Grid({"learning_rate": [0.003, 0.03], "epochs": [1, 3]})


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
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=[
            "accuracy",
            "mae",
            keras.metrics.AUC(name="auc"),
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(thresholds=0.3, name="recall"),
            keras.metrics.F1Score(average="micro", threshold=0.5, name="f1"),
        ],
    )
    return model
