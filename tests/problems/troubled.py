"""A tiny problem with an axis of everything that can go wrong in a trial."""

import os
from pathlib import Path

import numpy as np

from tuning import Grid

grid = Grid({"trouble": ["none", "raises", "diverges", "exits", "dies once"], "epochs": [3]})


def load_data():
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    return dict.fromkeys(("train", "validation", "test"), (x, y))


def build_model(config):
    import keras

    if config["trouble"] == "raises":
        raise ValueError("two\nlines")
    if config["trouble"] == "exits":
        os._exit(3)
    if config["trouble"] == "dies once":
        marker = Path(os.environ["TUNING_TEST_FOLDER"]) / "died"
        if not marker.exists():
            marker.touch()
            os._exit(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    scale = 1e38 if config["trouble"] == "diverges" else 1e-3
    model.compile(
        optimizer=keras.optimizers.SGD(scale), loss="mean_squared_error", metrics=["accuracy"]
    )
    return model
