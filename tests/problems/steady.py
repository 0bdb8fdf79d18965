"""A tiny problem of many programs that take a while: time enough to be killed in."""

import time

from tiny import load_data  # noqa: F401  it stands beside this file

from tuning import Grid

grid = Grid(
    {
        "units": [2, 3, 4, 5, 6, 7],
        "learning_rate": [0.001, 0.003, 0.01, 0.03],
        "epochs": [1, 2, 3],
    }
)


def build_model(config):
    import keras

    time.sleep(0.1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(config["units"], activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(config["learning_rate"]), "binary_crossentropy", metrics=["accuracy"]
    )
    return model
