"""A mixture of experts: einsum, softmax gates, top-k and a balancing loss that is added."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"balance": [0.0, 0.1], "learning_rate": [0.05]})


class Experts(keras.layers.Layer):
    def __init__(self, experts, units, balance, **kwargs):
        super().__init__(**kwargs)
        self.experts, self.units, self.balance = experts, units, balance
        self.gate = keras.layers.Dense(experts, activation="softmax")

    def build(self, shape):
        self.gate.build(shape)
        self.kernel = self.add_weight(
            shape=(self.experts, shape[-1], self.units), initializer="glorot_uniform"
        )

    def call(self, inputs):
        gates = self.gate(inputs)
        best, chosen = ops.top_k(gates, 2)
        gates = gates * ops.sum(ops.one_hot(chosen, self.experts), axis=1)
        self.add_loss(self.balance * ops.sum(ops.square(ops.mean(gates, axis=0))))
        outputs = ops.einsum("bi,eio,be->bo", inputs, self.kernel, gates)
        return ops.relu(outputs) / ops.sum(best, axis=1, keepdims=True)


def load_data():
    return binary()


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            Experts(3, 4, config["balance"]),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
