"""The values of a trained model's variables, apart from the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Weights:
    """The values of a model's variables after training.

    Attributes
    ----------
    trainable, others, optimizer : list of array
        `others` are the non-trainable ones.
    paths : tuple of str
        The names of `others`.
    finished : bool
        Whether what `fit` does after the last epoch has been done, such as averaging.
    """

    trainable: Sequence[np.ndarray]
    others: Sequence[np.ndarray]
    optimizer: Sequence[np.ndarray]
    paths: tuple[str, ...]
    finished: bool = True


def weights_of(model: keras.Model) -> Weights:
    """A copy of a trained model's variables."""
    others = model.non_trainable_variables
    return Weights(
        values_of(model.trainable_variables),
        values_of(others),
        values_of(model.optimizer.variables),
        tuple(variable.path for variable in others),
    )


def values_of(variables: Sequence[Any]) -> list[np.ndarray]:
    """A copy of the variables' values."""
    import keras

    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
