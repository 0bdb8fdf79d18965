"""compute_loss overridden: a penalty on confident answers, its strength an attribute."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"strength": [0.0, 0.3], "learning_rate": [0.003, 0.03]})


class Cautious(keras.Model):
    def __init__(self, strength, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + self.strength * ops.mean(ops.square(y_pred - 0.5))


def load_data():
    return binary()


def build_model(config):
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    outputs = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = Cautious(config["strength"], inputs=inputs, outputs=outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
