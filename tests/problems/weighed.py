"""Three classes of unequal size: rows weigh by their class, as a function of the configuration."""

import keras
import numpy as np

from tuning import Float, Space

space = Space(
    {
        "learning_rate": Float(0.005, 0.05, log=True),
        "rare": Float(1.0, 8.0),
        "epochs": 2,
    }
)


def class_weight(config):
    return {0: 1.0, 2: config["rare"]}


def load_data():
    random = np.random.default_rng(0)
    x = random.normal(size=(250, 6)).astype("float32")
    noise = random.normal(size=250)
    y = (x[:, 0] + noise > 0.9).astype(int) + (x[:, 2] > 1.2)
    return {
        "train": (x[:150], y[:150]),
        "validation": (x[150:200], y[150:200]),
        "test": (x[200:], y[200:]),
    }


def build_model(config):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=["accuracy"],
    )
    return model
