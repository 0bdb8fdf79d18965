"""A random search by KerasTuner."""

import tempfile

import keras
import keras_tuner
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

x, y = load_breast_cancer(return_X_y=True)
x = scale(x)


def build_model(hp):
    units = hp.Int("units", 4, 16, step=4)
    learning_rate = hp.Float("learning_rate", 0.003, 0.03, sampling="log")
    hidden = keras.layers.Dense(units, activation="relu")
    model = keras.Sequential([keras.Input((30,)), hidden, keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy", metrics=["accuracy"])
    return model


with tempfile.TemporaryDirectory() as folder:
    tuner = keras_tuner.RandomSearch(
        build_model, "val_accuracy", max_trials=6, seed=0, directory=folder
    )
    tuner.search(x, y, epochs=4, validation_split=0.2, verbose=0)
    print(tuner.get_best_hyperparameters()[0].values)
    model = tuner.get_best_models()[0]
    print(f"{model.evaluate(x, y, verbose=0)[1]:.3f}")
