"""One block of a Transformer on tokens: rates and the normalization's epsilon are axes."""

import keras
from _data import tokens
from keras import layers

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"rate": [0.0, 0.2], "epsilon": [1e-6, 1e-2], "learning_rate": [0.01]})


def load_data():
    return tokens()


def block(x, rate, epsilon):
    attended = layers.MultiHeadAttention(num_heads=2, key_dim=3, dropout=rate)(x, x)
    x = layers.LayerNormalization(epsilon=epsilon)(x + layers.Dropout(rate)(attended))
    fed = layers.Dense(4)(layers.Dense(8, activation="gelu")(x))
    return layers.LayerNormalization(epsilon=epsilon)(x + layers.Dropout(rate)(fed))


def build_model(config):
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(12, 4)(inputs)
    x = block(x, config["rate"], config["epsilon"])
    outputs = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
