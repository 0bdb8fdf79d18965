"""The same search by `tuning`."""

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

import tuning
from tuning import Float, Int

x, y = load_breast_cancer(return_X_y=True)
x = scale(x)
space = {
    "units": Int(4, 16, step=4),
    "learning_rate": Float(0.003, 0.03, log=True),
    "epochs": 4,
}


def build_model(config):
    hidden = keras.layers.Dense(config["units"], activation="relu")
    model = keras.Sequential([keras.Input((30,)), hidden, keras.layers.Dense(1, "sigmoid")])
    adam = keras.optimizers.Adam(config["learning_rate"])
    model.compile(adam, "binary_crossentropy", metrics=["accuracy"])
    return model


results = tuning.search(build_model, space, (x, y), validation_split=0.2, trials=6)
print(results.configuration(results.best().iloc[0]))
model = results.best_model()
print(f"{model.evaluate(x, y, verbose=0)[1]:.3f}")
