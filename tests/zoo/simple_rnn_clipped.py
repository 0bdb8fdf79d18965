"""A plain recurrent network with clipped gradients and an orthogonal start of its own gain."""

import keras
from _data import sequences

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"gain": [0.5, 1.0], "clipnorm": [0.1, 1.0], "unroll": [True]})


def load_data():
    return sequences(steps=4)


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.SimpleRNN(
                4,
                recurrent_initializer=keras.initializers.Orthogonal(config["gain"]),
                unroll=config["unroll"],
            ),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, clipnorm=config["clipnorm"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
