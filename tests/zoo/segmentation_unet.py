"""Image to image: a small U-Net with a skip connection and a loss by overlap."""

import keras
from _data import masks
from keras import layers

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"dropout": [0.0, 0.3], "learning_rate": [0.01, 0.05]})


def load_data():
    return masks()


def build_model(config):
    inputs = keras.Input((8, 8, 1))
    wide = layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    deep = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.MaxPooling2D()(wide))
    deep = layers.UpSampling2D()(layers.Dropout(config["dropout"])(deep))
    joined = layers.Concatenate()([wide, deep])
    model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(joined))
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss=keras.losses.Dice(),
        metrics=["accuracy"],
    )
    return model
