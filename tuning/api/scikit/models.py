"""The Keras model of one configuration as an estimator of scikit-learn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from tuning.api.public import search
from tuning.api.scikit.building import Builder, first_model
from tuning.api.scikit.outputs import (
    OF_CLASSES,
    Outputs,
    Task,
    checked_classes,
    checked_width,
    kind_of,
    loss_of,
    task_of,
)
from tuning.compatibility.keras import fixed_rows, in_floats
from tuning.engines.saving import foreign_parts, load_kept, load_weights
from tuning.errors import TuningError, quoted
from tuning.execution.worker import prepare_own_process
from tuning.trial import KERAS_BATCH_SIZE, batch_size

if TYPE_CHECKING:
    import keras

AT_ONCE = 256  # rows in a call of the model
MULTIPLE = 32  # of rows in the last call: few shapes to compile, and a row is computed like others
PLAIN, WEIGHTS = "model.keras", "model.weights.h5"
SEEDS = 2**31 - 1
TASKS = ("classification", "regression", None)


@dataclass(frozen=True)
class Known:
    """The arguments of `fit`, checked.

    Attributes
    ----------
    x : array, shape (n, ...)
    y : array, shape (n,) or (n, k)
        In the values of the user.
    weights : array, shape (n,), or None
    meta : dict
        What a `build_model` of two parameters is told.
    outputs : Outputs
    first : keras.Model
        One of the space, to be looked at.
    rows : int
        Of a batch that models take.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    meta: dict[str, Any]
    outputs: Outputs
    first: keras.Model
    rows: int

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """x, y and any weights as Keras is given them."""
        parts = self.x, self.outputs.encoded(self.y)
        return parts if self.weights is None else (*parts, self.weights)


class Estimator(BaseEstimator):  # type: ignore[misc]
    """What the model of one configuration and a search over many have in common."""

    build_model: Callable[..., Any]
    task: Task | None
    backend: str | None

    def _read(self, X: Any, y: Any, weights: Any, space: Any) -> Known:
        """Check the arguments of `fit`, and look at a first model of a space."""
        if self.task not in TASKS:
            raise TuningError(
                f"task takes 'classification', 'regression' or None, not {quoted(self.task)}"
            )
        prepare_keras(self.backend)
        x, y = validate_data(self, X, y, multi_output=True, allow_nd=True, ensure_min_samples=2)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        own = _checked_weights(weights, len(x))
        x = as_keras_floats(x)
        meta = self._meta(x, y)
        model = first_model(Builder(self.build_model, meta), space)
        rows = fixed_rows(model) or KERAS_BATCH_SIZE
        outputs = self._outputs(model, x[:rows], y, own)
        return Known(x, y, own, meta, outputs, model, rows)

    def _outputs(
        self, model: keras.Model, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None
    ) -> Outputs:
        """What a model's outputs mean, checked against the target."""
        loss, logits = loss_of(model)
        task = self.task or task_of(loss, y)
        kind, classes = kind_of(task, y), None
        if task == "classification":
            check_classification_targets(y)
            classes = checked_classes(y, kind, weights)
        return Outputs(task, kind, classes, checked_width(model, x, y, classes), loss, logits)

    def _meta(self, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        kind = kind_of(self.task, y)
        return {
            "n_features_in_": self.n_features_in_,
            "X_shape_": x.shape,
            "X_dtype_": x.dtype,
            "target_type_": kind,
            "n_classes_": len(np.unique(y)) if kind in OF_CLASSES else None,
            "n_outputs_": 1 if y.ndim == 1 else y.shape[1],
        }

    def _take(self, known: Known) -> None:
        """Set what is known once it is fitted."""
        self.outputs_ = known.outputs
        self.meta_ = known.meta
        forget(self, "classes_")
        if known.outputs.task == "classification":
            columns = np.arange(known.outputs.width)
            self.classes_ = columns if known.outputs.classes is None else known.outputs.classes

    def _task(self) -> Task | None:
        """What is known of the task: as it was told or fitted."""
        outputs = getattr(self, "outputs_", None)
        return self.task or (outputs.task if outputs else None)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags

        tags = super().__sklearn_tags__()
        tags.target_tags.required = tags.target_tags.multi_output = True
        tags.non_deterministic = getattr(self, "random_state", None) is None
        task = self._task()
        if task == "classification":
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags(multi_label=True)
        elif task == "regression":
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
        return tags

    def _seed(self) -> int:
        """The seed that `random_state` stands for."""
        state = getattr(self, "random_state", None)
        if isinstance(state, int | np.integer):
            return int(state)
        return int(check_random_state(state).randint(SEEDS))


def has_probabilities(self: Any) -> bool:
    """Whether an estimator can tell probabilities, for `available_if`."""
    outputs = getattr(self, "outputs_", None)
    known = outputs.gives_probabilities if outputs else self._task() != "regression"
    if not known:
        raise AttributeError("predict_proba is there for classifiers alone whose loss is no hinge")
    return True


class KerasModel(Estimator):
    """The Keras model of one configuration, as an estimator.

    `KerasSearchCV.best_estimator_` is one.

    Parameters
    ----------
    build_model : callable
        As for `KerasSearchCV`.
    config : dict
        The configuration that it is called with.
    task, n_jobs, random_state, engine, backend, cache, verbose
        As for `KerasSearchCV`; it trains in this process, or in one worker.

    Attributes
    ----------
    model_ : keras.Model
        Trained.
    classes_ : array
        Of a classifier.
    n_features_in_ : int
    feature_names_in_ : array of str
        Of a data frame.
    """

    def __init__(
        self,
        build_model: Callable[..., Any],
        config: dict[str, Any],
        *,
        task: Task | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        engine: str = "auto",
        backend: str | None = None,
        cache: bool = True,
        verbose: int = 0,
    ) -> None:
        self.build_model = build_model
        self.config = config
        self.task = task
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.engine = engine
        self.backend = backend
        self.cache = cache
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KerasModel:
        """Train the model on all rows.

        Parameters
        ----------
        X : array, shape (n, ...), or data frame
        y : array, shape (n,) or (n, k)
        sample_weight : array, shape (n,), optional

        Raises
        ------
        TuningError
            If it cannot be trained.
        """
        space = {name: [value] for name, value in self.config.items()} or {"epochs": [1]}
        known = self._read(X, y, sample_weight, space)
        some = tuple(part[: known.rows] for part in known.parts)
        results = search(
            Builder(self.build_model, known.meta),
            space,
            {"train": known.parts, "validation": some},
            strategy=None,
            sweep="all",
            seed=self._seed(),
            metric="val_loss",
            workers=0 if self.n_jobs is None else 1,
            engine=self.engine,
            backend=self.backend,
            cache=self.cache,
            show_progress=self.verbose > 0,
        )
        row = results.trials.iloc[0]
        if row["status"] != "ok":
            raise TuningError(f"the model could not be trained: {row['error']}")
        return self.adopt(known, results.best_model())

    def adopt(self, known: Known, model: keras.Model) -> KerasModel:
        """Be fitted with a model that was trained elsewhere."""
        self._take(known)
        self.n_features_in_ = known.meta["n_features_in_"]
        self.model_ = model
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The classes of rows, their labels, or their values.

        Parameters
        ----------
        X : array, shape (n, ...), or data frame

        Returns
        -------
        array, shape (n,) or (n, k)
            In the values of the target that it was fitted to.
        """
        outputs = self._called(X)
        return self.outputs_.predictions(outputs)

    @available_if(has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, or of each of several labels.

        Parameters
        ----------
        X : array, shape (n, ...), or data frame

        Returns
        -------
        array, shape (n, number of classes or labels)
            In the order of `classes_`.
        """
        outputs = self._called(X)
        return self.outputs_.probabilities(outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of a classifier, or R² of a regressor.

        Parameters
        ----------
        X : array, shape (n, ...), or data frame
        y : array, shape (n,) or (n, k)
        sample_weight : array, shape (n,), optional
        """
        predicted = self.predict(X)
        measure = accuracy_score if self.outputs_.task == "classification" else r2_score
        return float(measure(y, predicted, sample_weight=sample_weight))

    def evaluated(self, X: Any, y: Any) -> dict[str, float]:
        """What the compiled model reports of some rows, by Keras' names.

        Parameters
        ----------
        X : array, shape (n, ...), or data frame
        y : array, shape (n,) or (n, k)
        """
        check_is_fitted(self)
        x = as_keras_floats(validate_data(self, X, reset=False, allow_nd=True))
        target = self.outputs_.encoded(np.asarray(y))
        rows = batch_size(self.config)
        return in_floats(self.model_.evaluate(x, target, rows, verbose=0, return_dict=True))

    def _called(self, X: Any) -> np.ndarray:
        """The model's outputs of rows, in columns."""
        check_is_fitted(self)
        x = as_keras_floats(validate_data(self, X, reset=False, allow_nd=True))
        fixed, n = fixed_rows(self.model_), len(x)
        filled = np.concatenate([x, np.repeat(x[-1:], -n % (fixed or MULTIPLE), axis=0)])
        found = self.model_.predict(filled, batch_size=fixed or AT_ONCE, verbose=0)
        return np.asarray(found, np.float64)[:n].reshape(n, -1)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = _in_bytes(self.model_)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        file = state.get("model_")
        super().__setstate__({name: value for name, value in state.items() if name != "model_"})
        if file is not None:
            self.model_ = self._loaded(*file)

    def _loaded(self, name: str, content: bytes) -> keras.Model:
        def row() -> tuple[np.ndarray, ...]:
            outputs = self.outputs_
            x = np.zeros((1, *self.meta_["X_shape_"][1:]), self.meta_["X_dtype_"])
            return x, np.zeros((1, outputs.width if outputs.one_hot else 1), x.dtype)

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            if name == PLAIN:
                return load_kept(file)
            return load_weights(file, Builder(self.build_model, self.meta_), self.config, row)


def _in_bytes(model: keras.Model) -> tuple[str, bytes]:
    """The name and the content of a model's file: plain Keras where Keras alone can load it."""
    with tempfile.TemporaryDirectory() as folder:
        plain, weights = (Path(folder) / name for name in (PLAIN, WEIGHTS))
        try:
            model.save(plain)
            if not any(foreign_parts(plain)):
                return PLAIN, plain.read_bytes()
        except Exception:  # of any type, of parts that do not tell how they were made
            plain.unlink(missing_ok=True)
        model.save_weights(weights)
        return WEIGHTS, weights.read_bytes()


def forget(estimator: Estimator, *names: str) -> None:
    """Delete attributes that an earlier `fit` has set."""
    for name in names:
        if name in vars(estimator):
            delattr(estimator, name)


def prepare_keras(backend: str | None) -> None:
    """Import Keras on a backend, JAX unless told, if it is not imported yet."""
    if "keras" not in sys.modules:
        prepare_own_process(backend or "jax")


def as_keras_floats(x: np.ndarray) -> np.ndarray:
    """Rows whose floats are those that Keras computes with; others as they are."""
    import keras

    return x.astype(keras.config.floatx(), copy=False) if x.dtype.kind == "f" else x


def _checked_weights(weights: Any, n: int) -> np.ndarray | None:
    """The weights of n rows."""
    if weights is None:
        return None
    found = np.asarray(weights, np.float64)
    if found.shape != (n,):
        raise TuningError(
            f"sample_weight has the shape {found.shape}, and takes one weight for each of {n} rows"
        )
    if not np.isfinite(found).all() or (found < 0).any() or not found.any():
        raise TuningError(
            "sample_weight takes weights that are finite and not negative, and not all zero"
        )
    return as_keras_floats(found)
