"""Ten handwritten digits over a continuous space: what `benchmarks/digits.py` searches.

Conv2D(filters) → activation → MaxPooling → Dropout → Dense(units) → activation → Dense(10), on
scikit-learn's digits (1,797 images of 8 × 8; UCI "Optical Recognition of Handwritten Digits",
Alpaydin & Kaynak 1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuning.problems.digits_cnn import load_data
from tuning.space.parameters import Choice, Float, Int

if TYPE_CHECKING:
    import keras

__all__ = ["SPACE", "build_model", "load_data"]

SPACE: dict[str, Any] = {
    "batch_size": Choice([16, 32, 64]),
    "optimizer": Choice(["sgd", "rmsprop", "adam"]),
    "filters": Int(8, 32, step=8),
    "units": Int(16, 64, step=16),
    "activation": Choice(["relu", "tanh", "elu"]),
    "learning_rate": Float(1e-4, 1e-1, log=True),
    "dropout": Float(0.0, 0.6),
    "l2": Float(1e-6, 1e-2, log=True),
    "epochs": 16,
}


def build_model(config: dict[str, Any]) -> keras.Model:
    """The compiled network of one configuration."""
    import keras
    from keras import layers

    optimizers: dict[str, Any] = {
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
    }
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(
                config["filters"],
                3,
                activation=config["activation"],
                kernel_regularizer=keras.regularizers.L2(config["l2"]),
            ),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(config["dropout"]),
            layers.Dense(
                config["units"],
                activation=config["activation"],
                kernel_regularizer=keras.regularizers.L2(config["l2"]),
            ),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=optimizers[config["optimizer"]](learning_rate=config["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
