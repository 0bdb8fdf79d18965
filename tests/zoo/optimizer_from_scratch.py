"""An optimizer with a state of its own, written on Keras' base class."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"decay": [0.5, 0.9], "learning_rate": [0.03]})


class SignMomentum(keras.optimizers.Optimizer):
    def __init__(self, learning_rate, decay, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.decay = decay

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.means = [self.add_variable_from_reference(v, name="mean") for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        mean = self.means[self._get_variable_index(variable)]
        self.assign(mean, self.decay * mean + (1 - self.decay) * gradient)
        self.assign_sub(variable, learning_rate * ops.sign(mean))


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = SignMomentum(config["learning_rate"], decay=config["decay"])
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model
