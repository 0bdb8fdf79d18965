"""Separable and depthwise convolutions, as in the small networks for telephones."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"momentum": [0.9, 0.99], "learning_rate": [0.003, 0.03]})


def load_data():
    return images(channels=3)


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=config["momentum"]),
            keras.layers.ReLU(max_value=6.0),
            keras.layers.SeparableConv2D(4, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
