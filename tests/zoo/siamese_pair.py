"""A siamese network: one encoder, used for two inputs, with a contrastive loss and its margin."""

import keras
import numpy as np
from _data import ROWS, numbers, split
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_loss"
grid = Grid({"margin": [0.5, 1.5], "dropout": [0.0, 0.3]})


def load_data():
    left, right = numbers(seed=0), numbers(seed=1)
    same = np.arange(ROWS) % 2 == 0
    right[same] = left[same] + 0.1 * right[same]
    return split({"left": left, "right": right}, same.astype("float32")[:, None])


def contrastive(margin):
    def loss(y_true, distance):
        near = y_true * ops.square(distance)
        far = (1 - y_true) * ops.square(ops.maximum(margin - distance, 0))
        return ops.mean(near + far, axis=-1)

    return loss


def build_model(config):
    encoder = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dropout(config["dropout"]),
            keras.layers.Dense(3),
        ]
    )
    left, right = keras.Input((8,), name="left"), keras.Input((8,), name="right")
    difference = keras.layers.Subtract()([encoder(left), encoder(right)])
    distance = keras.layers.Lambda(
        lambda d: ops.sqrt(ops.sum(ops.square(d), axis=1, keepdims=True) + 1e-6),
        output_shape=(1,),
    )(difference)
    model = keras.Model({"left": left, "right": right}, distance)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=contrastive(config["margin"]))
    return model
