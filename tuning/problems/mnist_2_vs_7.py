"""Tell MNIST's 2 from its 7 with a small dense network: the study this project began with.

784 → Dense(neurons) → activation → Dropout(dropout_1) → Dense(neurons) → activation →
Dropout(dropout_2) → Dense(1, sigmoid), trained on binary cross-entropy. The label is 1 for a 7.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.problems._splits import stratified_rows
from tuning.space.grid import Configuration, Grid

if TYPE_CHECKING:
    import keras

grid = Grid(
    {
        "batch_size": [16, 32, 64, 128, 256],
        "optimizer": ["sgd", "rmsprop", "adagrad", "adam"],
        "neurons": [64, 128, 256],
        "activation": ["relu", "elu", "tanh", "sigmoid", "softplus"],
        "learning_rate": [0.0001, 0.001, 0.01, 0.1],
        "dropout_1": [0.0, 0.25, 0.5],
        "dropout_2": [0.0, 0.2, 0.35, 0.5],
        "epochs": [4, 8, 12],
    }
)

SEARCHES = 200
BETTER_AND_WORSE = {  # shares of searches in which packs found the better one, and the worse one
    # after so many seconds: results/strategies/wins.csv, which benchmarks/strategies.py makes
    "random": {
        10: (0.885, 0.06), 20: (0.91, 0.035), 30: (0.92, 0.02), 40: (0.94, 0.01), 60: (0.975, 0.01)
    },
    "sweep": {
        10: (1.0, 0.0), 20: (0.985, 0.005), 30: (0.99, 0.0), 40: (0.995, 0.0), 60: (1.0, 0.0)
    },
}  # fmt: skip

references = [
    *(
        {
            "strategy": "packs",
            "beats": rival,
            "seconds": seconds,
            "searches": SEARCHES,
            "share": better,
            "lost": worse,
        }
        for rival, after in BETTER_AND_WORSE.items()
        for seconds, (better, worse) in after.items()
    ),
    {
        "strategy": "original study",
        "trials": 20,
        "val_accuracy": 0.9944,
        "test_accuracy": 0.9913,
        "cpu_seconds": 3600.0,
    },
]


def load_data() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The digits as float32 rows of 784 in [0, 1]: 9,778 train, 2,445 validate, 2,060 test.

    The split of the training images is stratified and the same for every seed of a search.
    """
    with np.load(Path(__file__).with_suffix(".npz")) as arrays:
        x, x_test = (_rows(arrays[f"{part}_images"]) for part in ("train", "test"))
        y, y_test = (
            (arrays[f"{part}_digits"] == 7).astype(np.float32) for part in ("train", "test")
        )
    train, validation = stratified_rows(y, 0.2)
    return {
        "train": (x[train], y[train]),
        "validation": (x[validation], y[validation]),
        "test": (x_test, y_test),
    }


def build_model(config: Configuration) -> keras.Model:
    """The compiled network of one configuration."""
    import keras
    from keras import layers

    optimizers: dict[str, Any] = {
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adagrad": keras.optimizers.Adagrad,
        "adam": keras.optimizers.Adam,
    }
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(config["neurons"]),
            layers.Activation(config["activation"]),
            layers.Dropout(config["dropout_1"]),
            layers.Dense(config["neurons"]),
            layers.Activation(config["activation"]),
            layers.Dropout(config["dropout_2"]),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=optimizers[str(config["optimizer"])](learning_rate=config["learning_rate"]),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
