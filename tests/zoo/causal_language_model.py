"""Next-token prediction: a causal mask, positions, a loss that ignores the padding."""

import keras
from _data import tokens
from keras import layers

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rate": [0.0, 0.2], "learning_rate": [0.01]})


class Positions(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="uniform")

    def call(self, inputs):
        return inputs + self.table


def load_data():
    return {part: (x[:, :-1], x[:, 1:]) for part, (x, _) in tokens(steps=7).items()}


def build_model(config):
    inputs = keras.Input((6,), dtype="int32")
    x = Positions()(layers.Embedding(12, 4)(inputs))
    attention = layers.MultiHeadAttention(num_heads=1, key_dim=4, dropout=config["rate"])
    x = layers.LayerNormalization()(x + attention(x, x, use_causal_mask=True))
    model = keras.Model(inputs, layers.Dense(12)(x))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        metrics=["accuracy"],
    )
    return model
