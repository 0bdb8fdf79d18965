"""Which normalization is structure: by layer, group, length or root mean square."""

import keras
from _data import binary
from keras import layers

from tuning import Grid

PROGRAMS = 4
ENGINE = "vectorized"

grid = Grid({"norm": ["layer", "group", "unit", "rms"], "learning_rate": [0.003, 0.03]})

NORMS = {
    "layer": lambda: layers.LayerNormalization(center=False),
    "group": lambda: layers.GroupNormalization(groups=2),
    "unit": layers.UnitNormalization,
    "rms": layers.RMSNormalization,
}


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(4, activation="relu"),
            NORMS[config["norm"]](),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
