"""What Keras is given for a target of scikit-learn, and what a model's outputs say of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tuning.errors import TuningError

if TYPE_CHECKING:
    import keras

Task: TypeAlias = Literal["classification", "regression"]

OF_CLASSES = ("binary", "multiclass")  # of scikit-learn's types of a target
OF_LABELS = "multilabel-indicator"
OF_REGRESSION = (
    "cosine_similarity",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
)
MIDDLE = 0.5  # a probability above it is the second class


@dataclass(frozen=True)
class Outputs:
    """The columns of a model's output, and the target that belongs to them.

    Attributes
    ----------
    task : {"classification", "regression"}
    kind : str
        The type of the target, as `sklearn.utils.multiclass.type_of_target` names it.
    classes : array or None
        The classes in the order of their codes 0, 1, …; None for a regression or several labels.
    width : int
        The number of columns.
    loss : str
        The loss, by the name of its function.
    logits : bool
        Whether the columns are logits, as the loss takes them.
    """

    task: Task
    kind: str
    classes: np.ndarray | None
    width: int
    loss: str
    logits: bool

    @property
    def one_hot(self) -> bool:
        """Whether the loss takes a column of zeros and ones for each class."""
        return self.classes is not None and self.width > 1 and not self.loss.startswith("sparse")

    @property
    def gives_probabilities(self) -> bool:
        """Whether probabilities can be told: of classes, unless the loss is a hinge."""
        return self.task == "classification" and "hinge" not in self.loss

    @property
    def threshold(self) -> float:
        """The output above which a row is of the second class, where there is one column."""
        return 0.0 if self.logits or "hinge" in self.loss else MIDDLE

    def encoded(self, y: np.ndarray) -> np.ndarray:
        """The target as Keras is given it.

        Parameters
        ----------
        y : array, shape (n,) or (n, k)

        Returns
        -------
        array, shape (n,) or (n, width)
            Of classes their codes, or a column of zeros and ones for each.
        """
        import keras

        floats = keras.config.floatx()
        if self.classes is None:
            y = np.asarray(y, floats)
        else:
            y = np.searchsorted(self.classes, y)
            y = np.eye(self.width, dtype=floats)[y] if self.one_hot else y
        return y[:, None] if y.ndim == 1 and self.width == 1 else y

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """The probability of each class, or of each label.

        Parameters
        ----------
        outputs : array, shape (n, width)

        Returns
        -------
        array, shape (n, number of classes or labels)
        """
        found = self._activated(outputs)
        if self.classes is not None and self.width == 1:
            return np.concatenate([1 - found, found], axis=1)
        return found

    def _activated(self, outputs: np.ndarray) -> np.ndarray:
        if not self.logits:
            return outputs
        if self.loss.startswith("binary"):
            found: np.ndarray = (1 + np.tanh(outputs / 2)) / 2
            return found
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """What is predicted, in the values of the target.

        Parameters
        ----------
        outputs : array, shape (n, width)

        Returns
        -------
        array, shape (n,) or (n, width)
        """
        found: np.ndarray = outputs
        if self.task == "regression":
            return found[:, 0] if self.kind == "continuous" else found
        above, greatest = (outputs > self.threshold).astype(int), outputs.argmax(axis=1)
        if self.classes is not None:
            found = self.classes[above[:, 0] if self.width == 1 else greatest]
        else:
            one = self.loss.startswith("categorical")
            found = np.eye(self.width, dtype=int)[greatest] if one else above
        return found

    def metric(self, name: str) -> tuple[str, dict[str, float]] | None:
        """The function of `keras.metrics` whose mean over the rows is a score of scikit-learn.

        Parameters
        ----------
        name : {"accuracy", "mean_squared_error", "mean_absolute_error"}

        Returns
        -------
        tuple of str and dict, or None
            The function's name and keywords; None if there is none for these outputs.
        """
        if name != "accuracy":
            return (name, {}) if self.task == "regression" else None
        if self.classes is None:
            return None
        if self.width == 1:
            return "binary_accuracy", {"threshold": self.threshold}
        return ("categorical_accuracy" if self.one_hot else "sparse_categorical_accuracy"), {}


def loss_of(model: keras.Model) -> tuple[str, bool]:
    """A compiled model's loss by the name of its function, and whether it takes logits.

    Nothing, of several losses or one that has no name.
    """
    import keras

    loss: Any = model.loss
    if isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    logits = bool(getattr(loss, "from_logits", False))
    loss = getattr(loss, "fn", loss)
    while isinstance(loss, functools.partial):
        logits = logits or bool(loss.keywords.get("from_logits", False))
        loss = loss.func
    return str(getattr(loss, "__name__", "")), logits


def task_of_loss(loss: str) -> Task | None:
    """What a loss is for, where its name says so."""
    if "crossentropy" in loss or "hinge" in loss:
        return "classification"
    return "regression" if loss in OF_REGRESSION else None


def task_of(loss: str, y: np.ndarray) -> Task:
    """Whether a target is to be classified, by the loss, and else by the target itself."""
    from sklearn.utils.multiclass import type_of_target

    if y.dtype.kind not in "biuf":
        return "classification"
    kind = type_of_target(y)
    by_target: Task = "classification" if kind in (*OF_CLASSES, OF_LABELS) else "regression"
    return task_of_loss(loss) or by_target


def checked_classes(y: np.ndarray, kind: str, weights: np.ndarray | None) -> np.ndarray | None:
    """The classes of a target, which have to be at least two; None of several labels.

    Parameters
    ----------
    y : array, shape (n,) or (n, k)
    kind : str
        Its type.
    weights : array, shape (n,), optional
        A class whose rows all weigh nothing does not count.

    Raises
    ------
    TuningError
        If there is only one, or the target has several columns of classes.
    """
    if kind == OF_LABELS:
        return None
    if kind not in OF_CLASSES:
        raise TuningError(f"a target of the type {kind} cannot be classified")
    seen = y if weights is None else y[weights > 0]
    if len(np.unique(seen)) < 2:
        raise TuningError("a classifier takes at least two classes, and y has only one class")
    return np.unique(y)


def kind_of(task: Task | None, y: np.ndarray) -> str:
    """The type of a target; one that is not to be classified is continuous, whatever it holds."""
    from sklearn.utils.multiclass import type_of_target

    if task == "regression":
        return "continuous" if y.ndim == 1 else "continuous-multioutput"
    return str(type_of_target(y))


def checked_width(
    model: keras.Model, x: np.ndarray, y: np.ndarray, classes: np.ndarray | None
) -> int:
    """The number of columns of a model's output.

    Parameters
    ----------
    model : keras.Model
    x : array
        Rows to call it with.
    y : array, shape (n,) or (n, k)
    classes : array, optional
        Of y.

    Raises
    ------
    TuningError
        If it is not that of the target, so that Keras would train it to something else.
    """
    import keras

    outputs = model(x, training=False)
    if isinstance(outputs, list | tuple | dict):
        raise TuningError("build_model returns a model of several outputs, and y is one target")
    width = int(np.prod(keras.ops.shape(outputs)[1:], dtype=int))
    k = len(classes) if classes is not None else 1 if y.ndim == 1 else y.shape[1]
    if width != k and not (classes is not None and k == 2 and width == 1):
        what = "classes" if classes is not None else "columns"
        raise TuningError(
            f"y has {k} {what}, and the model that build_model returns has {width} outputs"
        )
    return width
