"""Rows in a given order, as batches Keras' `fit` and `evaluate` take on any backend."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tuning.problem import Arrays, n_samples


def row_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of n rows in an epoch, counted from 0: the same for every configuration."""
    return np.random.default_rng([seed, epoch]).permutation(n)


class Split:
    """One split of the data, ready to be read in batches many times.

    On TensorFlow it is read through a `tf.data` pipeline without autotuning. What Keras makes of
    plain arrays autotunes, and on a process held to one CPU then waits at the end of every epoch
    for the tuner to wake: that took half of the time. Other backends read a `PyDataset`.

    Parameters
    ----------
    pair : tuple of arrays or dicts of arrays
        x and y; the first dimension counts the rows.
    """

    def __init__(self, pair: tuple[Arrays, Arrays]) -> None:
        import keras

        self.n_rows = n_samples(pair[0])
        self._on_tensorflow = keras.backend.backend() == "tensorflow"
        self._pair = tuple(map_arrays(in_floatx, arrays) for arrays in pair)
        if self._on_tensorflow:
            import tensorflow as tf

            self._pair = tuple(map_arrays(tf.constant, arrays) for arrays in self._pair)

    def batches(self, batch_size: int, order: np.ndarray | None = None) -> Any:
        """All rows in batches, the last one maybe short.

        Parameters
        ----------
        batch_size : int
        order : array of int, shape (n_rows,), optional
            The rows' numbers in the order to read them; as they stand unless told.
        """
        order = np.arange(self.n_rows) if order is None else order
        if self._on_tensorflow:
            return _tensorflow_batches(self._pair, order, batch_size)
        return _python_batches(self._pair, order, batch_size)


def _tensorflow_batches(pair: tuple[Any, ...], order: np.ndarray, batch_size: int) -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size)
        .map(lambda rows: tf.nest.map_structure(lambda array: tf.gather(array, rows), pair))
        .with_options(options)
    )


def _python_batches(pair: tuple[Any, ...], order: np.ndarray, batch_size: int) -> Any:
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return math.ceil(len(order) / batch_size)

        def __getitem__(self, i: int) -> tuple[Any, ...]:
            rows = order[i * batch_size : (i + 1) * batch_size]
            return tuple(map_arrays(lambda array: array[rows], arrays) for arrays in pair)

    return Batches()


def map_arrays(function: Any, arrays: Any) -> Any:
    """The function of an array, or of each in a dict."""
    if isinstance(arrays, dict):
        return {name: function(array) for name, array in arrays.items()}
    return function(arrays)


def in_floatx(array: np.ndarray) -> np.ndarray:
    """Floating numbers in Keras' float type, as Keras itself converts arrays."""
    import keras

    if array.dtype.kind == "f" and array.dtype.name != keras.config.floatx():
        return array.astype(keras.config.floatx())
    return array
