"""A frozen backbone with dropout, made once at the top of the file, under heads that differ."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"head": [0.0, 0.5], "learning_rate": [0.1]})

keras.utils.set_random_seed(3)
BACKBONE = keras.Sequential(
    [
        keras.Input((8,)),
        keras.layers.Dense(6, activation="relu"),
        keras.layers.Dropout(0.1, seed=4),
        keras.layers.Dense(6, activation="relu"),
    ]
)
BACKBONE.trainable = False


def load_data():
    return binary()


def build_model(config):
    inputs = keras.Input((8,))
    features = keras.layers.Dropout(config["head"])(BACKBONE(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(features))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
