"""The built-in problem's network and grid, on a few rows of noise."""

import numpy as np

from tuning import Grid
from tuning.problems import mnist_2_vs_7

grid = Grid(
    {
        "batch_size": [16, 25],
        "optimizer": ["sgd", "rmsprop", "adagrad", "adam"],
        "neurons": [8],
        "activation": ["relu", "elu", "tanh", "sigmoid", "softplus"],
        "learning_rate": [0.001, 0.01],
        "dropout_1": [0.0, 0.5],
        "dropout_2": [0.0, 0.2, 0.35],
        "epochs": [2, 4],
    }
)


def load_data():
    x = np.random.default_rng(0).normal(size=(200, 784)).astype("float32")
    y = (x[:, :8].sum(axis=1) > 0).astype("float32")
    return {
        "train": (x[:105], y[:105]),
        "validation": (x[105:150], y[105:150]),
        "test": (x[150:], y[150:]),
    }


build_model = mnist_2_vs_7.build_model
