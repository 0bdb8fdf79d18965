"""Tokens with mask_zero through a GRU and an average, both of which heed the mask."""

import keras
from _data import tokens

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"batch_size": [28], "l2": [0.0, 0.01], "learning_rate": [0.01, 0.05]})


def load_data():
    return tokens()


def build_model(config):
    inputs = keras.Input((6,), dtype="int32")
    embedded = keras.layers.Embedding(
        12, 4, mask_zero=True, embeddings_regularizer=keras.regularizers.L2(config["l2"])
    )(inputs)
    mean = keras.layers.GlobalAveragePooling1D()(embedded)
    last = keras.layers.GRU(3)(embedded)
    joined = keras.layers.Concatenate()([mean, last])
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(joined))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
