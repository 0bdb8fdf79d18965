"""Integer categories encoded in the model, by their presence or their number."""

import keras
from _data import tokens

from tuning import Grid

PROGRAMS = 2
ENGINE = "vectorized"

grid = Grid({"mode": ["multi_hot", "count"], "learning_rate": [0.01, 0.05]})


def load_data():
    return tokens()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.CategoryEncoding(12, output_mode=config["mode"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
