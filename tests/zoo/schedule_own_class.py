"""A warm-up schedule of the user's own without get_config."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"warmup": [2, 10], "learning_rate": [0.05]})


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak, warmup):
        self.peak, self.warmup = peak, warmup

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0
        return self.peak * ops.minimum(step / self.warmup, ops.sqrt(self.warmup / step))


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
    schedule = Warmup(config["learning_rate"], config["warmup"])
    optimizer = keras.optimizers.Adam(schedule)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
