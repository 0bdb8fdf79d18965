"""CosineDecay with a warm-up."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"peak": [0.01, 0.1], "warmup": [2, 5], "epochs": [1, 3]})


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
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=10, warmup_target=config["peak"], warmup_steps=config["warmup"]
    )
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
