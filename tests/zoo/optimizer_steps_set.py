"""build_model sets the optimizer's count of steps, from which its schedule goes on."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"begun": [0, 5], "learning_rate": [0.1]})


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
    schedule = keras.optimizers.schedules.ExponentialDecay(config["learning_rate"], 2, 0.5)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(config["begun"])
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
