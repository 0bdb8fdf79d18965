"""Transfer learning: an encoder with BatchNormalization that is frozen, and a head that learns."""

import keras
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"frozen": [True, False], "dropout": [0.0, 0.3]})


def load_data():
    return binary()


def build_model(config):
    encoder = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    )
    encoder.trainable = not config["frozen"]
    inputs = keras.Input((8,))
    features = keras.layers.Dropout(config["dropout"])(encoder(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(features))
    model.compile(
        optimizer=keras.optimizers.Adam(0.02), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model
