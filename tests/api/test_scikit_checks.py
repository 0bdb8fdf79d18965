"""What scikit-learn asks of every estimator, asked of a search."""

from __future__ import annotations

import keras
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from tuning import KerasSearchCV

EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 stands once in the batches of an epoch, and a row given twice stands "
        "there twice, so that gradient steps differ"
    ),
}
QUICK = {
    "check_estimator_cloneable",
    "check_estimators_unfitted",
    "check_no_attributes_set_in_init",
    "check_set_params",
}


def build(config, meta):
    k = meta["n_classes_"]
    several = meta["target_type_"] == "multilabel-indicator"
    last = "softmax" if k else "sigmoid" if several else None
    model = keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dense(k or meta["n_outputs_"], last),
        ]
    )
    losses = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    model.compile(keras.optimizers.Adam(0.05), losses.get(last, "mse"))
    return model


def estimator(task):
    space = {"epochs": [30], "batch_size": [16]}
    return KerasSearchCV(build, space, n_iter=1, cv=2, random_state=0, task=task)


@parametrize_with_checks(
    [estimator("classification"), estimator("regression")],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_check(estimator, check, request):
    check(estimator)
