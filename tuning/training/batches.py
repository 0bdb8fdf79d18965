"""Rows in a given order, as batches Keras' `fit` and `evaluate` take on any backend."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tuning.data import Arrays, map_arrays, n_samples


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
    parts : tuple of arrays, or of dicts, lists or tuples of arrays
        x, y and, if there are any, sample weights; the first dimension counts the rows.
    """

    def __init__(self, parts: tuple[Arrays, ...]) -> None:
        import keras

        self.n_rows = n_samples(parts)
        self._on_tensorflow = keras.backend.backend() == "tensorflow"
        self._parts = map_arrays(in_floatx, parts)
        if self._on_tensorflow:
            import tensorflow as tf

            # As Keras does, since `tf.data` makes a tensor of a list.
            self._parts = keras.tree.lists_to_tuples(map_arrays(tf.constant, self._parts))

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
            return _tensorflow_batches(self._parts, order, batch_size)
        return _python_batches(self._parts, order, batch_size)


def _tensorflow_batches(parts: tuple[Any, ...], order: np.ndarray, batch_size: int) -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size)
        .map(lambda rows: tf.nest.map_structure(lambda array: tf.gather(array, rows), parts))
        .with_options(options)
    )


def _python_batches(parts: tuple[Any, ...], order: np.ndarray, batch_size: int) -> Any:
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return math.ceil(len(order) / batch_size)

        def __getitem__(self, i: int) -> tuple[Any, ...]:
            rows = order[i * batch_size : (i + 1) * batch_size]
            return map_arrays(lambda array: array[rows], parts)  # type: ignore[no-any-return]

    return Batches()


def in_floatx(array: np.ndarray) -> np.ndarray:
    """Floating numbers in Keras' float type, as Keras itself converts arrays."""
    import keras

    if array.dtype.kind == "f" and array.dtype.name != keras.config.floatx():
        return array.astype(keras.config.floatx())
    return array
