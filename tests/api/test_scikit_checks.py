"""What scikit-learn asks of every estimator, asked of a search."""

from __future__ import annotations

import keras
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from tuning import KerasSearchCV

EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 stands once in the batches of an epoch, and a row given twice stands "
        "there twice, so that gradient steps differ"
    ),
}
QUICK = {
    "check_all_zero_sample_weights_error",
    "check_classifiers_regression_target",
    "check_complex_data",
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_estimators_nan_inf",
    "check_estimators_unfitted",
    "check_no_attributes_set_in_init",
    "check_set_params",
}
TASKS = ("classification", "regression")


def build(config, meta):
    k = meta["n_classes_"]
    several = meta["target_type_"] == "multilabel-indicator"
    last = "softmax" if k else "sigmoid" if several else None
    layers = [
        keras.Input((meta["n_features_in_"],)),
        keras.layers.Dense(8, "tanh"),
        keras.layers.Dense(k or meta["n_outputs_"], last),
    ]
    model = keras.Sequential(layers)
    losses = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    model.compile(keras.optimizers.Adam(0.05), losses.get(last, "mse"))
    return model


def estimator(task):
    space = {"epochs": [30], "batch_size": [16]}
    return KerasSearchCV(build, space, n_iter=1, cv=2, random_state=0, task=task)


def name_of(check):
    return getattr(check, "func", check).__name__


def cases():
    for task in TASKS:
        for own, check in estimator_checks_generator(estimator(task)):
            name = name_of(check)
            marks = [] if name in QUICK else [pytest.mark.slow]
            if name in EXPECTED:
                marks.append(pytest.mark.xfail(reason=EXPECTED[name], strict=True))
            yield pytest.param(own, check, marks=marks, id=f"{task}-{name}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("estimator", "check"), cases())
def test_check(estimator, check):
    check(estimator)


def test_no_check_is_excused_that_there_is_not():
    asked = {
        name_of(check) for task in TASKS for _, check in estimator_checks_generator(estimator(task))
    }
    assert asked >= {*EXPECTED, *QUICK}
