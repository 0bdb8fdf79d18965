"""The progression of diabetes after a year, from ten measurements: regression, by lowest val_loss.

Dense(width, activation) → GaussianNoise → Dense(1), trained on the mean squared error, on
scikit-learn's diabetes data (442 patients; Efron, Hastie, Johnstone & Tibshirani, "Least Angle
Regression", Ann. Stat. 32, 2004). `--explain` finds width, activation and batch_size structural,
learning_rate, noise and l1 lifted, and epochs a fidelity: 8 programs train its 432 configurations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuning.problems._splits import Pairs, split_rows
from tuning.space.grid import Configuration, Grid

if TYPE_CHECKING:
    import keras

grid = Grid(
    {
        "batch_size": [16, 32],
        "width": [8, 32],
        "activation": ["relu", "tanh"],
        "learning_rate": [0.001, 0.003, 0.01],
        "noise": [0.0, 0.1, 0.3],
        "l1": [0.0, 0.001],
        "epochs": [10, 20, 40],
    }
)
metric = "val_loss"


def load_data() -> Pairs:
    """Ten measurements and the progression, by mean and deviation of the 282 that train."""
    from sklearn.datasets import load_diabetes

    data = split_rows(*load_diabetes(return_X_y=True, scaled=False))
    (x_mean, x_std), (y_mean, y_std) = ((a.mean(axis=0), a.std(axis=0)) for a in data["train"])
    return {split: ((x - x_mean) / x_std, (y - y_mean) / y_std) for split, (x, y) in data.items()}


def build_model(config: Configuration) -> keras.Model:
    """The compiled network of one configuration."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(
                config["width"],
                activation=config["activation"],
                kernel_regularizer=keras.regularizers.L1(config["l1"]),
            ),
            layers.GaussianNoise(config["noise"]),
            layers.Dense(1),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="mean_squared_error",
        metrics=["mean_absolute_error"],
    )
    return model
