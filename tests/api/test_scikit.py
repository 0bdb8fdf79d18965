"""`KerasSearchCV`: what scikit-learn's users find in it, on real data, beside plain Keras."""

from __future__ import annotations

import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.metrics import accuracy_score, make_scorer, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tuning
from tuning.api.scikit.search import KerasSearchCV

SPACE = {"units": [2, 6], "learning_rate": [0.01, 0.05], "epochs": [1, 3]}
CANCER = StandardScaler().fit_transform(load_breast_cancer().data)[:200].astype("float32")
KINDS = np.array(["malignant", "benign"])[load_breast_cancer().target][:200]
IRIS, SPECIES = load_iris(return_X_y=True)
SPECIES = load_iris().target_names[SPECIES]


def model_of(config, inputs, outputs, loss, metrics=()):
    layers = [keras.Input((inputs,)), keras.layers.Dense(config.get("units", 4), "relu"), outputs]
    model = keras.Sequential(layers)
    adam = keras.optimizers.Adam(config.get("learning_rate", 0.05))
    model.compile(adam, loss, metrics=list(metrics))
    return model


def two(config):
    auc = keras.metrics.AUC(name="auc")
    last = keras.layers.Dense(1, "sigmoid")
    return model_of(config, 30, last, "binary_crossentropy", [auc])


def two_logits(config):
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return model_of(config, 30, keras.layers.Dense(1), loss)


def three(config):
    last = keras.layers.Dense(3, "softmax")
    return model_of(config, 4, last, "sparse_categorical_crossentropy")


def three_one_hot(config):
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    return model_of(config, 4, keras.layers.Dense(3), loss)


def number(config, meta):
    last = keras.layers.Dense(meta["n_outputs_"])
    return model_of(config, meta["n_features_in_"], last, "mse")


def hinge(config):
    return model_of(config, 30, keras.layers.Dense(1, "tanh"), "hinge")


def labels(config):
    last = keras.layers.Dense(2, "sigmoid")
    return model_of(config, 30, last, "binary_crossentropy")


class Own(keras.Model):
    """A class that is not registered, with a step of its own."""

    def __init__(self, units):
        super().__init__()
        self.hidden, self.last = keras.layers.Dense(units), keras.layers.Dense(1, "sigmoid")

    def call(self, x):
        return self.last(self.hidden(x))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred, sample_weight)


def own_class(config):
    model = Own(config["units"])
    model.compile("adam", "binary_crossentropy")
    return model


def search(build_model, space=SPACE, **options):
    asked = {"n_iter": 3, "cv": 2, "random_state": 0, "cache": False} | options
    return KerasSearchCV(build_model, space, **asked)


@pytest.fixture(scope="module")
def fitted():
    """A search of packs by folds."""
    return search(two).fit(CANCER, KINDS)


def by_keras(build_model, config, x, y, train, seed=0):
    """A model that plain Keras trains on the rows of a fold, in the order of the trial's rows."""
    model = tuning.initial_model(build_model, config, seed)
    for epoch in range(config["epochs"]):
        order = train[tuning.row_order(seed, epoch, len(train))]
        for i in range(0, len(order), 32):
            rows = order[i : i + 32]
            model.train_on_batch(x[rows], y[rows])
    return model


def test_it_is_public():
    assert tuning.KerasSearchCV is KerasSearchCV


def test_scores_of_folds_are_those_of_plain_keras(fitted):
    codes = (KINDS == "malignant").astype("float32")[:, None]
    found = fitted.cv_results_
    for i, (train, validation) in enumerate(StratifiedKFold(2).split(CANCER, KINDS)):
        model = by_keras(two, found["params"][1], CANCER, codes, train)
        predicted = model.predict(CANCER[validation], verbose=0)[:, 0] > 0.5
        right = accuracy_score(KINDS[validation], np.where(predicted, "malignant", "benign"))
        assert found[f"split{i}_test_score"][1] == pytest.approx(right, abs=0.011)  # of a row


def test_the_table_is_scikit_learns(fitted):
    found = fitted.cv_results_
    times = {f"{of}_{what}_time" for of in ("mean", "std") for what in ("fit", "score")}
    scores = {f"{of}_test_score" for of in ("split0", "split1", "mean", "std", "rank")}
    assert set(found) == times | scores | {"params"} | {f"param_{name}" for name in SPACE}
    assert all(len(column) == 3 for column in found.values())
    splits = [found["split0_test_score"], found["split1_test_score"]]
    np.testing.assert_allclose(found["mean_test_score"], np.mean(splits, axis=0))
    np.testing.assert_allclose(found["std_test_score"], np.std(splits, axis=0))
    assert found["rank_test_score"].dtype == np.int32
    assert found["param_units"].dtype.kind == "i"
    assert found["param_learning_rate"].dtype.kind == "f"
    assert [own["units"] for own in found["params"]] == found["param_units"].tolist()
    assert fitted.best_index_ == found["mean_test_score"].argmax()
    assert fitted.best_score_ == found["mean_test_score"].max()
    assert fitted.best_params_ == found["params"][fitted.best_index_]
    assert (fitted.n_splits_, fitted.multimetric_, fitted.n_features_in_) == (2, False, 30)
    assert fitted.refit_time_ > 0


def test_the_best_is_trained_again_on_all_rows(fitted):
    codes = (KINDS == "malignant").astype("float32")[:, None]
    best = fitted.best_params_
    plain = by_keras(two, best, CANCER, codes, np.arange(len(CANCER)))
    found = fitted.best_estimator_.model_.get_weights()
    for one, other in zip(found, plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert fitted.classes_.tolist() == ["benign", "malignant"]
    assert set(fitted.predict(CANCER)) <= {"benign", "malignant"}
    probabilities = fitted.predict_proba(CANCER)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    chosen = fitted.classes_[probabilities.argmax(axis=1)]
    assert (chosen == fitted.predict(CANCER)).all()
    assert fitted.score(CANCER, KINDS) == accuracy_score(KINDS, fitted.predict(CANCER))


@pytest.mark.parametrize("kind", ["search", "best"])
def test_it_pickles_and_clones(fitted, kind):
    whole = fitted if kind == "search" else fitted.best_estimator_
    again = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(again.predict_proba(CANCER), whole.predict_proba(CANCER))
    with pytest.raises(NotFittedError):
        clone(whole).predict(CANCER)


def test_scores_of_predictions_are_scikit_learns():
    scoring = {"auc": "roc_auc", "keras": "val_auc", "acc": "accuracy", "own": own_scorer}
    found = search(two, scoring=scoring, refit="auc").fit(CANCER, KINDS)
    table = found.cv_results_
    alone = search(two).fit(CANCER, KINDS).cv_results_
    for i, (train, validation) in enumerate(StratifiedKFold(2).split(CANCER, KINDS)):
        codes = (KINDS == "malignant").astype("float32")[:, None]
        model = by_keras(two, table["params"][0], CANCER, codes, train)
        auc = roc_auc_score(codes[validation], model.predict(CANCER[validation], verbose=0))
        assert table[f"split{i}_test_auc"][0] == pytest.approx(auc, abs=1e-3)
        np.testing.assert_allclose(table[f"split{i}_test_acc"], alone[f"split{i}_test_score"])
        np.testing.assert_allclose(table[f"split{i}_test_own"], -table[f"split{i}_test_acc"])
    assert found.best_index_ == table["mean_test_auc"].argmax()
    assert found.multimetric_
    best = found.predict_proba(CANCER)[:, 1]
    assert found.score(CANCER, KINDS) == pytest.approx(roc_auc_score(KINDS, best))
    assert (table["mean_score_time"] > 0).all()


def minus_accuracy(y, predicted):
    return accuracy_score(y, predicted)


own_scorer = make_scorer(minus_accuracy, greater_is_better=False)


def test_a_metric_of_the_model_chooses():
    found = search(two, scoring=["val_auc", "val_loss"], refit="val_loss").fit(CANCER, KINDS)
    assert (found.cv_results_["mean_test_val_loss"] < 0).all()
    assert found.best_index_ == found.cv_results_["mean_test_val_loss"].argmax()
    reported = found.best_estimator_.evaluated(CANCER, KINDS)
    assert found.score(CANCER, KINDS) == pytest.approx(-reported["loss"])
    assert len(found.results_) == 1


@pytest.mark.parametrize(
    "build_model", [pytest.param(three, marks=pytest.mark.slow), three_one_hot]
)
def test_three_classes(build_model):
    found = search(build_model).fit(IRIS, SPECIES)
    assert found.predict_proba(IRIS).shape == (150, 3)
    np.testing.assert_allclose(found.predict_proba(IRIS).sum(axis=1), 1, rtol=1e-6)
    assert found.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    expected = accuracy_score(SPECIES, found.predict(IRIS))
    assert found.score(IRIS, SPECIES) == expected


@pytest.mark.slow
def test_logits_become_probabilities():
    found = search(two_logits, n_iter=1).fit(CANCER, KINDS)
    logits = found.best_estimator_.model_.predict(CANCER, verbose=0)[:, 0].astype(float)
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(found.predict_proba(CANCER)[:, 1], expected, rtol=1e-5)
    assert ((logits > 0) == (found.predict(CANCER) == "malignant")).all()


@pytest.mark.slow
def test_a_hinge_gives_no_probabilities():
    found = search(hinge, n_iter=1).fit(CANCER, KINDS)
    assert not hasattr(found, "predict_proba")
    assert set(found.predict(CANCER)) <= set(KINDS)


@pytest.mark.slow
def test_several_labels():
    y = np.stack([KINDS == "benign", CANCER[:, 0] > 0], axis=1).astype(int)
    found = search(labels, n_iter=1).fit(CANCER, y)
    assert found.predict(CANCER).shape == found.predict_proba(CANCER).shape == y.shape
    expected = accuracy_score(y, found.predict(CANCER))
    assert found.score(CANCER, y) == expected


@pytest.mark.parametrize("columns", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_regression(columns):
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    y = (y / 100).to_numpy() if columns == 1 else np.stack([y / 100, -y / 50], axis=1)
    scoring = ["r2", "neg_mean_squared_error", "neg_root_mean_squared_error", "neg_max_error"]
    scoring = scoring if columns == 1 else scoring[:3]
    found = search(number, cv=KFold(2), scoring=scoring, refit="r2").fit(x, y)
    logs = search(number, cv=KFold(2), scoring=scoring[:3], refit="r2").fit(x, y)
    for name in scoring[:3]:
        np.testing.assert_allclose(
            found.cv_results_[f"mean_test_{name}"], logs.cv_results_[f"mean_test_{name}"], 1e-4
        )
    assert found.predict(x).shape == y.shape
    assert found.feature_names_in_.tolist() == list(x.columns)
    assert is_regressor(found)
    assert not hasattr(found, "predict_proba")
    assert not hasattr(found, "classes_")


def test_several_scores_that_are_added_to_the_model():
    x, y = load_diabetes(return_X_y=True)
    names = ["r2", "neg_mean_absolute_error"]
    several = search(number, cv=KFold(2), scoring=names, refit="r2").fit(x, y / 100).cv_results_
    for name in names:
        own = search(number, cv=KFold(2), scoring=name).fit(x, y / 100).cv_results_
        np.testing.assert_allclose(several[f"mean_test_{name}"], own["mean_test_score"], 1e-4)


@pytest.mark.slow
def test_it_works_in_a_pipeline_and_in_cross_validation():
    asked = search(two, n_iter=1)
    assert is_classifier(asked)
    pipeline = make_pipeline(StandardScaler(), asked)
    assert is_classifier(pipeline)
    scores = cross_val_score(pipeline, CANCER, KINDS, cv=2, scoring="roc_auc")
    assert (scores > 0.5).all()
    assert pipeline.set_params(kerassearchcv__n_iter=2)[-1].n_iter == 2


@pytest.mark.slow
def test_weights_are_those_of_rows_in_training():
    """Of a single fold, too."""
    fold = np.arange(150), np.arange(150, 200)
    asked = search(two, n_iter=1, cv=[fold], refit=False)
    plain = asked.fit(CANCER, KINDS).cv_results_
    codes = (KINDS == "malignant").astype("float32")[:, None]
    model = by_keras(two, plain["params"][0], CANCER, codes, fold[0])
    right = (model.predict(CANCER[150:], verbose=0) > 0.5) == codes[150:]
    assert plain["mean_test_score"][0] == pytest.approx(right.mean(), abs=0.021)  # of a row
    same = asked.fit(CANCER, KINDS, sample_weight=np.ones(200)).cv_results_
    assert same["mean_test_score"][0] == plain["mean_test_score"][0]
    benign = np.where(KINDS == "benign", 1.0, 1e-6)
    biased = clone(asked).set_params(refit=True, space={"epochs": [20]})
    found = biased.fit(CANCER, KINDS, sample_weight=benign)
    assert (found.predict(CANCER) == "benign").mean() > 0.9


@pytest.mark.slow
def test_groups_reach_the_splitter():
    found = search(two, cv=GroupKFold(2), n_iter=1, refit=False)
    found.fit(CANCER, KINDS, groups=np.arange(200) // 20)
    assert found.n_splits_ == 2
    with pytest.raises(AttributeError, match="refit=False"):
        found.predict(CANCER)


@pytest.mark.slow
def test_a_grid_and_a_function_that_refits():
    found = search(two, strategy="grid", refit=lambda table: 3).fit(CANCER, KINDS)
    assert len(found.cv_results_["params"]) == 8
    assert found.best_index_ == 3
    assert not hasattr(found, "best_score_")


@pytest.mark.slow
def test_a_strategy_that_learns():
    found = search(two, strategy="packs", n_iter=4, refit=False).fit(CANCER, KINDS)
    assert len(found.cv_results_["params"]) >= 1


def broken_at_six(config):
    if config["units"] == 6:
        raise ValueError("six is too many")
    return two(config)


@pytest.mark.parametrize("scoring", [None, pytest.param("roc_auc", marks=pytest.mark.slow)])
def test_a_training_that_fails_has_the_score_for_it(scoring):
    asked = search(broken_at_six, strategy="grid", scoring=scoring, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="six is too many"):
        found = asked.fit(CANCER, KINDS)
    failed = found.cv_results_["param_units"] == 6
    assert (found.cv_results_["mean_test_score"][failed] == -1).all()
    assert found.best_params_["units"] == 2


@pytest.mark.slow
def test_a_class_that_is_not_registered_pickles_by_its_weights():
    found = search(own_class, {"units": [2]}, n_iter=1, task="classification").fit(CANCER, KINDS)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(CANCER), found.predict_proba(CANCER))


@pytest.mark.slow
def test_random_state_repeats_and_workers_agree():
    here = search(two).fit(CANCER, KINDS)
    there = search(two, n_jobs=1).fit(pd.DataFrame(CANCER), KINDS)
    assert here.cv_results_["params"] == there.cv_results_["params"]
    np.testing.assert_allclose(
        here.cv_results_["mean_test_score"], there.cv_results_["mean_test_score"], atol=0.006
    )


@pytest.mark.slow
def test_the_random_state_of_the_caller_goes_on_as_if_nothing_was_trained():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    name = keras.layers.Dense(1).name
    search(two, n_iter=1).fit(CANCER, KINDS)
    assert (np.random.get_state()[1] == before).all()
    assert keras.layers.Dense(1).name.split("_")[0] == name.split("_")[0]


def test_what_scikit_learn_refuses_is_refused():
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        search(two).fit(csr_matrix(CANCER), KINDS)
    with pytest.raises(ValueError, match="NaN"):
        search(two).fit(np.full_like(CANCER, np.nan), KINDS)
    with pytest.raises(ValueError, match="Unknown label type"):
        search(number, task="classification").fit(CANCER, CANCER[:, 0])
