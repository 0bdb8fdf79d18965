"""A recurrent cell of the user's own in keras.layers.RNN, its leak an axis."""

import keras
from _data import sequences
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"leak": [0.1, 0.9], "learning_rate": [0.05]})


class Leaky(keras.layers.Layer):
    def __init__(self, units, leak, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.leak = units, leak

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.state_size))
        self.recurrent = self.add_weight(
            shape=(self.state_size, self.state_size), initializer="orthogonal"
        )

    def call(self, inputs, states):
        driven = ops.tanh(inputs @ self.kernel + states[0] @ self.recurrent)
        state = (1 - self.leak) * states[0] + self.leak * driven
        return state, [state]


def load_data():
    return sequences()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.RNN(Leaky(4, config["leak"])),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
