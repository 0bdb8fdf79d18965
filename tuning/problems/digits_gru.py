"""A handwritten digit read as a sequence of its eight rows, by a GRU.

GRU(units) → Dropout → Dense(10, softmax) on scikit-learn's digits. `--explain` finds units and
batch_size structural, learning_rate and dropout lifted, and epochs a fidelity: 4 programs train its
72 configurations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuning.problems._splits import Pairs, split_rows
from tuning.space.grid import Configuration, Grid

if TYPE_CHECKING:
    import keras

grid = Grid(
    {
        "batch_size": [32, 64],
        "units": [16, 32],
        "learning_rate": [0.001, 0.003, 0.01],
        "dropout": [0.0, 0.2, 0.4],
        "epochs": [5, 10],
    }
)


def load_data() -> Pairs:
    """Sequences of shape (8, 8) in [0, 1]: the rows of an image from top to bottom."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return split_rows(x.reshape(-1, 8, 8) / 16.0, y, stratify=True)


def build_model(config: Configuration) -> keras.Model:
    """The compiled network of one configuration."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.GRU(config["units"]),
            layers.Dropout(config["dropout"]),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
