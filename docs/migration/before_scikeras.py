"""A grid search by scikit-learn over scikeras' wrapper of a Keras model."""

import keras
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build_model(units, learning_rate):
    hidden = keras.layers.Dense(units, activation="relu")
    model = keras.Sequential([keras.Input((30,)), hidden, keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy")
    return model


grid = {"model__units": [4, 16], "model__learning_rate": [0.003, 0.03], "epochs": [2, 4]}
classifier = KerasClassifier(
    build_model, model__units=4, model__learning_rate=0.003, epochs=2, random_state=0, verbose=0
)
search = GridSearchCV(classifier, grid, cv=3)
x, y = load_breast_cancer(return_X_y=True)
pipeline = make_pipeline(StandardScaler(), search).fit(x, y)
print(search.best_params_)
print(f"{search.best_score_:.3f} {pipeline.score(x, y):.3f}")
