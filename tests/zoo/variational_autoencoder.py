"""A variational autoencoder: a sampling layer with a seed of its own and a loss it adds."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"beta": [0.0, 0.1, 1.0], "epochs": [1, 2]})


class Sampling(keras.layers.Layer):
    def __init__(self, beta, **kwargs):
        super().__init__(**kwargs)
        self.beta = beta
        self.random = keras.random.SeedGenerator(7)

    def call(self, mean, log_variance):
        divergence = ops.square(mean) + ops.exp(log_variance) - log_variance - 1
        self.add_loss(self.beta * 0.5 * ops.mean(ops.sum(divergence, axis=1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.random)
        return mean + ops.exp(0.5 * log_variance) * noise


def load_data():
    return {part: (x, x) for part, (x, _) in binary().items()}


def build_model(config):
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    mean, log_variance = keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)
    code = Sampling(config["beta"])(mean, log_variance)
    model = keras.Model(inputs, keras.layers.Dense(8)(code))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model
