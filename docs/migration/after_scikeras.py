"""The same search by `tuning.KerasSearchCV`."""

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tuning


def build_model(config):
    hidden = keras.layers.Dense(config["units"], activation="relu")
    model = keras.Sequential([keras.Input((30,)), hidden, keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(config["learning_rate"]), "binary_crossentropy")
    return model


grid = {"units": [4, 16], "learning_rate": [0.003, 0.03], "epochs": [2, 4]}
search = tuning.KerasSearchCV(build_model, grid, strategy="grid", cv=3, random_state=0)
x, y = load_breast_cancer(return_X_y=True)
pipeline = make_pipeline(StandardScaler(), search).fit(x, y)
print(search.best_params_)
print(f"{search.best_score_:.3f} {pipeline.score(x, y):.3f}")
