"""Images as bytes, scaled in the model; labels are integers without a second dimension."""

import keras
from _data import images

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"l2": [0.0, 0.1], "learning_rate": [0.02]})


def load_data():
    return {part: ((255 * x).astype("uint8"), y) for part, (x, y) in images(n=3).items()}


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(
                3, activation="softmax", kernel_regularizer=keras.regularizers.L2(config["l2"])
            ),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
