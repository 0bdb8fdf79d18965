"""A layer that calls back to NumPy through jax.pure_callback: trained by fit."""

import jax
import keras
import numpy as np
from _data import binary

from tuning import Grid

PROGRAMS = 2
ENGINE = "fit"

grid = Grid({"power": [1.5, 2.5], "learning_rate": [0.03]})


class Outside(keras.layers.Layer):
    def __init__(self, power, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def call(self, inputs):
        shape = jax.ShapeDtypeStruct(inputs.shape, inputs.dtype)
        raised = jax.pure_callback(
            lambda x: np.power(np.abs(x), self.power).astype(x.dtype),
            shape,
            jax.lax.stop_gradient(inputs),
            vmap_method="sequential",
        )
        return keras.ops.concatenate([inputs, raised], axis=-1)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 2 * shape[-1])


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [keras.Input((8,)), Outside(config["power"]), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
