"""Is the sum of four numbers positive? Small enough to train in a blink."""

import numpy as np

from tuning import Grid

grid = Grid(
    {
        "batch_size": [16, 64],
        "units": [2, 8],
        "activation": ["relu", "tanh"],
        "learning_rate": [0.001, 0.1],
        "epochs": [1, 2],
    }
)


def load_data():
    x = np.random.default_rng(0).normal(size=(320, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    return {
        "train": (x[:192], y[:192]),
        "validation": (x[192:256], y[192:256]),
        "test": (x[256:], y[256:]),
    }


def build_model(config):
    import keras

    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(config["units"], activation=config["activation"]),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
