"""Inputs that are zero in every row: training does not move their weights, so none are kept.

The border of an image, a word that never occurs: where such a column meets a kernel the product is
zero, and so is the gradient of that part of the kernel. Left out, the other numbers stay what they
are, to the rounding of sums, for less work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.problem import Data
from tuning.training.lifting import is_keras

if TYPE_CHECKING:
    import keras

LEAST = 0.05  # of the columns have to go for it to pay

ELEMENTWISE = (
    "SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion", "Ftrl",
)  # fmt: skip
"""Optimizers of Keras whose step of a number depends on no other number of the same variable."""


@dataclass(frozen=True)
class Columns:
    """The columns of a model's input that are kept.

    Attributes
    ----------
    kept : array of int
        Their numbers in a row made flat.
    row : tuple of int
        The shape of a row as the model takes it.
    """

    kept: np.ndarray
    row: tuple[int, ...]

    def take(self, x: np.ndarray) -> np.ndarray:
        """The rows with only these columns: shape (rows, columns kept)."""
        return np.take(x.reshape(len(x), -1), self.kept, axis=1)

    def shown(self, x: Any) -> Any:
        """Such rows in the model's shape: with zeros behind, where the trimmed layer never looks.

        XLA drops them again, and nothing of that shape is ever made.
        """
        import jax.numpy as jnp

        missing = math.prod(self.row) - len(self.kept)
        return jnp.pad(x, ((0, 0), (0, missing))).reshape(len(x), *self.row)


def trim(model: keras.Model, layers: list[Any], data: Data) -> Columns | None:
    """Take the rows of zero columns out of the kernel that reads them, if all can be told of them.

    Parameters
    ----------
    model : keras.Model
        Built and compiled, its optimizer not built yet; it is altered.
    layers : list of keras.layers.Dense
        Those that read the model's input, as it is or flattened, and look at no more columns than
        their kernel has rows.
    data : dict

    Returns
    -------
    Columns or None
        What the model's kernel was trimmed to; None if it stays as it is.
    """
    import keras

    x = data["train"][0]
    optimizer = model.optimizer
    known = type(optimizer) in [getattr(keras.optimizers, name) for name in ELEMENTWISE]
    if len(layers) != 1 or isinstance(x, dict) or not known or optimizer.built:
        return None
    (layer,) = layers
    kernel = layer._kernel
    row = tuple(x.shape[1:])
    if (
        len(model.inputs) != 1
        or tuple(model.inputs[0].shape[1:]) != row
        or not _is_read_once(model.inputs[0])
        or not all(is_keras(type(part)) for part in model._flatten_layers(include_self=False))
        or kernel.regularizer is not None
        or kernel.constraint is not None
        or math.prod(row) != kernel.shape[0]
    ):
        return None
    used = np.zeros(math.prod(row), bool)
    for rows in (np.asarray(pair[0]) for pair in data.values()):
        used |= np.any(rows.reshape(len(rows), -1), axis=0)
    kept = np.flatnonzero(used)
    if len(kept) > (1 - LEAST) * len(used):
        return None
    kernel._value = keras.ops.convert_to_tensor(np.asarray(kernel._value)[kept])
    kernel._shape = tuple(kernel._value.shape)
    return Columns(kept, row)


def _is_read_once(tensor: Any) -> bool:
    """Whether one layer reads the model's input, maybe behind a Flatten that nobody else reads."""
    import keras

    readers = tensor._keras_history.operation._outbound_nodes
    while len(readers) == 1 and type(readers[0].operation) is keras.layers.Flatten:
        readers = readers[0].operation._outbound_nodes
    return len(readers) == 1
