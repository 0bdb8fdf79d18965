"""Do two handwritten digits sum to an even number? A functional model that reads one at each input.

Both images go through one shared Dense(width) layer with BatchNormalization; what comes of them is
concatenated, and read by Dense(width) → Dropout → Dense(1, sigmoid). The pairs are drawn once from
scikit-learn's digits, within each split. `--explain` finds width, batch_size and whether
label_smoothing is 0 structural, learning_rate and dropout lifted, and epochs a fidelity:
8 programs train its 108 configurations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuning.problems._splits import split_rows
from tuning.space.grid import Configuration, Grid

if TYPE_CHECKING:
    import keras

grid = Grid(
    {
        "batch_size": [32, 64],
        "width": [32, 64],
        "learning_rate": [0.0003, 0.001, 0.003],
        "dropout": [0.0, 0.3, 0.5],
        "label_smoothing": [0.0, 0.1, 0.2],
        "epochs": [5],
    }
)


def load_data() -> dict[str, tuple[dict[str, np.ndarray], np.ndarray]]:
    """Pairs of images, each a row of 64 in [0, 1], and 1 where the sum of the digits is even."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    data = {}
    for part, (images, digits) in split_rows(x / 16.0, y, stratify=True).items():
        left = generator.permutation(len(images))
        right = generator.permutation(len(images))
        even = (digits[left] + digits[right]) % 2 == 0
        data[part] = (
            {"left": images[left], "right": images[right]},
            even.astype(np.float32),
        )
    return data


def build_model(config: Configuration) -> keras.Model:
    """The compiled network of one configuration."""
    import keras
    from keras import layers

    inputs = [keras.Input((64,), name=name) for name in ("left", "right")]
    dense = layers.Dense(config["width"], activation="relu")
    normalize = layers.BatchNormalization()
    joined = layers.Concatenate()([normalize(dense(x)) for x in inputs])
    hidden = layers.Dense(config["width"], activation="relu")(joined)
    output = layers.Dense(1, activation="sigmoid")(layers.Dropout(config["dropout"])(hidden))
    model = keras.Model(inputs, output)
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=config["label_smoothing"]),
        metrics=["accuracy"],
    )
    return model
