"""Rows in a given order, as batches Keras' `fit` and `evaluate` take on any backend."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from tuning.problem.data import Arrays, map_arrays, n_samples


def row_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of n rows in an epoch, counted from 0: the same for every configuration."""
    return np.random.default_rng([seed, epoch]).permutation(n)


class Orders:
    """The order of the rows in each epoch of one call of Keras' `fit`.

    A call trains all epochs, as what `fit` does at an epoch's end and after the last one is part of
    a training. The data it reads tells where it is: callbacks would be in the way of a model whose
    own `fit` adds some.

    Attributes
    ----------
    begun : list of float
        When each epoch read its first row, in seconds of `time.perf_counter`.
    """

    def __init__(self, seed: int, n_rows: int, first: int = 0) -> None:
        self.begun: list[float] = []
        self._seed, self._n_rows, self._first = seed, n_rows, first
        self._ended = 0

    def begin(self) -> np.ndarray:
        """The order of the epoch that begins, or of the one that is looked at before it begins."""
        del self.begun[self._ended :]
        self.begun.append(time.perf_counter())
        return row_order(self._seed, self._first + self._ended, self._n_rows)

    def end(self) -> None:
        """An epoch has read its last row."""
        self._ended += 1


class Split:
    """One split of the data, ready to be read in batches many times.

    On TensorFlow it is read through a `tf.data` pipeline without autotuning. What Keras makes of
    plain arrays autotunes, and on a process held to one CPU then waits at the end of every epoch
    for the tuner to wake: that took half of the time. Other backends read a `PyDataset`.

    Parameters
    ----------
    parts : tuple of arrays, or of dicts, lists or tuples of arrays
        x, y and, if there are any, sample weights; the first dimension counts the rows.
    rows : array of int, optional
        The numbers of those that belong to it; all unless told.
    """

    def __init__(self, parts: tuple[Arrays, ...], rows: np.ndarray | None = None) -> None:
        import keras

        self._rows = np.arange(n_samples(parts)) if rows is None else rows
        self.n_rows = len(self._rows)
        self._on_tensorflow = keras.backend.backend() == "tensorflow"
        self._parts = map_arrays(in_floatx, parts)
        if self._on_tensorflow:
            import tensorflow as tf

            # As Keras does, since `tf.data` makes a tensor of a list.
            self._parts = keras.tree.lists_to_tuples(map_arrays(tf.constant, self._parts))

    def batches(self, batch_size: int, orders: Orders | None = None) -> Any:
        """All rows in batches, the last one maybe short.

        Parameters
        ----------
        batch_size : int
        orders : Orders, optional
            In which to read the rows, another each time; as they stand unless told.
        """
        make = _tensorflow_batches if self._on_tensorflow else _python_batches
        return make(self._parts, self._rows, batch_size, orders)


def _tensorflow_batches(
    parts: tuple[Any, ...], own: np.ndarray, batch_size: int, orders: Orders | None
) -> Any:
    import tensorflow as tf

    n_rows = len(own)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    rows = tf.data.Dataset.from_tensor_slices(own)
    if orders is not None:

        def order() -> np.ndarray:  # asked for once an epoch: on TensorFlow no one looks before
            found: np.ndarray = own[orders.begin()]
            orders.end()
            return found

        def ordered(_: Any) -> Any:
            numbers = tf.numpy_function(order, [], tf.int64, stateful=True)
            return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(numbers, [n_rows]))

        rows = tf.data.Dataset.range(1).flat_map(ordered)
    return (
        rows.batch(batch_size)
        .map(lambda rows: tf.nest.map_structure(lambda array: tf.gather(array, rows), parts))
        .apply(tf.data.experimental.assert_cardinality(math.ceil(n_rows / batch_size)))
        .with_options(options)
    )


def _python_batches(
    parts: tuple[Any, ...], own: np.ndarray, batch_size: int, orders: Orders | None
) -> Any:
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        order = own
        read_last = False  # Keras may look at a first batch before it trains

        def __len__(self) -> int:
            return math.ceil(len(own) / batch_size)

        def __getitem__(self, i: int) -> tuple[Any, ...]:
            if orders is not None and i == 0:
                self.order = own[orders.begin()]
            self.read_last = i == len(self) - 1
            rows = self.order[i * batch_size : (i + 1) * batch_size]
            return map_arrays(lambda array: array[rows], parts)  # type: ignore[no-any-return]

        def on_epoch_end(self) -> None:
            if orders is not None and self.read_last:
                orders.end()

    return Batches()


def in_floatx(array: np.ndarray) -> np.ndarray:
    """Floating numbers in Keras' float type, as Keras itself converts arrays."""
    import keras

    if array.dtype.kind == "f" and array.dtype.name != keras.config.floatx():
        return array.astype(keras.config.floatx())
    return array
