"""Ten handwritten digits of 8 × 8 pixels, told apart by a small convolutional network.

Conv2D(filters) → BatchNormalization → ReLU → MaxPooling → Dropout → Dense(10, softmax), on
scikit-learn's digits (1,797 images; UCI "Optical Recognition of Handwritten Digits", Alpaydin &
Kaynak 1998). `--explain` finds filters and batch_size structural, learning_rate, dropout and l2
lifted, and epochs a fidelity: 4 programs train its 144 configurations.
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
        "filters": [8, 16],
        "learning_rate": [0.0003, 0.001, 0.003],
        "dropout": [0.0, 0.25, 0.5],
        "l2": [0.0, 0.0001],
        "epochs": [5, 10],
    }
)


def load_data() -> Pairs:
    """Images of shape (8, 8, 1) in [0, 1]: 1,149 train, 288 validate, 360 test."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return split_rows(x.reshape(-1, 8, 8, 1) / 16.0, y, stratify=True)


def build_model(config: Configuration) -> keras.Model:
    """The compiled network of one configuration."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(
                config["filters"],
                3,
                padding="same",
                use_bias=False,
                kernel_regularizer=keras.regularizers.L2(config["l2"]),
            ),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
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
