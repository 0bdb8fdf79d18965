"""A layer written with jax.numpy and lax.scan, its number a constant of the loop."""

import jax
import jax.numpy as jnp
import keras
from _data import binary

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rate": [0.1, 0.5], "learning_rate": [0.05]})


class Relax(keras.layers.Layer):
    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs):
        def step(x, _):
            return x + self.rate * (jnp.tanh(inputs) - x), None

        return jax.lax.scan(step, jnp.zeros_like(inputs), length=4)[0]

    def compute_output_shape(self, shape):
        return shape


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6),
            Relax(config["rate"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
