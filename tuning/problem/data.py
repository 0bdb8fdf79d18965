"""The data of a problem: what users give as x, y and sample weights, as NumPy arrays."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from tuning.errors import TuningError, first_line

Arrays: TypeAlias = "np.ndarray | dict[str, Arrays] | list[Arrays] | tuple[Arrays, ...]"
Data: TypeAlias = dict[str, tuple[Arrays, ...]]
"""By split (x, y) or (x, y, sample_weight); the first dimension of all arrays counts the rows."""

SPLITS = ("train", "validation", "test")
NEEDED_SPLITS = SPLITS[:2]  # the test split is optional
PARTS = ("x", "y", "sample_weight")
FORMS = "(x, y), (x, y, sample_weight), a keras.utils.PyDataset or a tf.data.Dataset"
MEMORY_SHARE = 0.5  # of the machine's memory that a drawn dataset may fill


def splits_of(data: Mapping[str, Any]) -> list[str]:
    """The splits that the data has, in their order: the test split may be missing."""
    return [split for split in SPLITS if split in data]


def map_arrays(function: Callable[[Any], Any], arrays: Any) -> Any:
    """The function of an array, or of each array in a dict, list or tuple."""
    if isinstance(arrays, dict):
        return {name: map_arrays(function, each) for name, each in arrays.items()}
    if isinstance(arrays, list | tuple):
        return type(arrays)(map_arrays(function, each) for each in arrays)
    return function(arrays)


def named_arrays(arrays: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Each array with its name: the key in its dict, the place in its list, after a slash each."""
    if isinstance(arrays, dict | list | tuple):
        items = arrays.items() if isinstance(arrays, dict) else enumerate(arrays)
        for key, each in items:
            yield from named_arrays(each, f"{name}/{key}" if name else str(key))
    else:
        yield name, arrays


def n_samples(arrays: Arrays) -> int:
    """The length of the first dimension, which all the arrays share."""
    return len(next(each for _, each in named_arrays(arrays)))


def text_of(data: Data) -> str:
    """The place of an array of text, such as ``train x/colour``; nothing if there is none."""
    return next((place for place, array in _places(data) if array.dtype.kind in "US"), "")


def data_fingerprint(data: Data) -> str:
    """SHA-256 of every array's name, type, shape and bytes, and of the rows of each fold."""
    digest = hashlib.sha256()
    for split in splits_of(data):
        for part, arrays in zip(PARTS, data[split], strict=False):
            add_arrays(digest, arrays, f"{split} {part} ")
    for train, validation in data.get("folds", ()):
        for rows in (train, validation):
            digest.update(np.ascontiguousarray(rows).view(np.uint8).data)
    return digest.hexdigest()


def add_arrays(digest: hashlib._Hash, arrays: Arrays, where: str = "") -> None:
    """Update a digest with the name, type, shape and bytes of each array."""
    for name, array in named_arrays(arrays):
        digest.update(f"{where}{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)


def checked_split(given: Any, where: str) -> tuple[Arrays, ...]:
    """One split of the data as arrays, from any of the `FORMS`.

    Raises
    ------
    TuningError
        If it is none of them, is empty, or its arrays cannot be NumPy's or differ in length.
    """
    if _is_of(given, "PyDataset", "keras") or _is_of(given, "DatasetV2", "tensorflow"):
        parts = _drawn(given, where)
    else:
        parts = _checked_parts(given, where)
    for part, arrays in zip(PARTS, parts, strict=False):
        lengths = {len(array) for _, array in named_arrays(arrays)}
        if len(lengths) > 1:
            raise TuningError(
                f"{where} {part}: its arrays have different lengths, {sorted(lengths)}"
                " (a list of arrays is several inputs or outputs; numpy.stack makes one of rows)"
            )
    counts = [n_samples(arrays) for arrays in parts]
    for part, count in zip(PARTS[1:], counts[1:], strict=False):
        if count != counts[0]:
            raise TuningError(f"{where} has {counts[0]:,} samples in x but {count:,} in {part}")
    if counts[0] == 0:
        raise TuningError(f"{where} is empty")
    if len(parts) == 3:
        return *parts[:2], _weights_of(parts[1], parts[2], where)
    return parts


def _checked_parts(given: Any, where: str) -> tuple[Arrays, ...]:
    """x, y and, if there are any, sample weights as arrays."""
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise TuningError(f"{where} has to be {FORMS}, not {_form(given)}")
    given = given[:2] if len(given) == 3 and given[2] is None else given
    parts = tuple(
        _checked_arrays(each, f"{where} {part}") for part, each in zip(PARTS, given, strict=False)
    )
    for part, arrays in zip(PARTS[1:], parts[1:], strict=False):
        if any(array.dtype.kind in "US" for _, array in named_arrays(arrays)):
            raise TuningError(
                f"{where} {part} is text: give numbers, such as "
                "numpy.unique(labels, return_inverse=True)[1] for classes"
            )
    return parts


def _form(given: Any) -> str:
    n = f" of {len(given)}" if isinstance(given, tuple | list) else ""
    return f"{type(given).__name__}{n}"


def checked_weights(y: Arrays, given: Any, where: str) -> Arrays:
    """Weights of the rows of y as arrays of floating numbers, with the structure of y.

    Raises
    ------
    TuningError
        If they are no arrays of numbers, or not as many as the rows.
    """
    weights = _checked_arrays(given, f"{where} sample_weight")
    for _, array in named_arrays(weights):
        if array.dtype.kind in "US" or len(array) != n_samples(y):
            raise TuningError(
                f"{where} sample_weight returned an array of type {array.dtype} and shape "
                f"{array.shape}, not a number for each of {n_samples(y):,} rows"
            )
    weights = map_arrays(
        lambda array: array if array.dtype.kind == "f" else array.astype(np.float64), weights
    )
    return _weights_of(y, weights, where)


def _weights_of(y: Arrays, weights: Arrays, where: str) -> Arrays:
    """Sample weights with the structure of y: one array holds for all outputs, as in `fit`."""
    if isinstance(y, np.ndarray) or not isinstance(weights, np.ndarray):
        if _outline(y) != _outline(weights):
            raise TuningError(
                f"{where} sample_weight has to be one array, or one for each array of y"
            )
        return weights
    if weights.shape[1:] not in ((), (1,)):
        raise TuningError(
            f"{where} sample_weight has the shape {weights.shape} for several outputs: "
            "give one number a row, or an array for each output"
        )
    return map_arrays(lambda _: weights, y)  # type: ignore[no-any-return]


def _outline(arrays: Arrays) -> Any:
    """The structure without the arrays; lists and tuples are alike."""
    if isinstance(arrays, dict):
        return {name: _outline(each) for name, each in arrays.items()}
    return () if isinstance(arrays, np.ndarray) else tuple(map(_outline, arrays))


def _drawn(dataset: Any, where: str) -> tuple[Arrays, ...]:
    """All rows of a dataset that gives batches, each drawn once."""
    most = MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    batches: list[tuple[Arrays, ...]] = []
    size = 0
    try:
        for batch in _batches(dataset, where):
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                raise TuningError(
                    f"{where} has to give batches (x, y) or (x, y, sample_weight), not "
                    f"{_form(batch)}"
                )
            batches.append(_checked_parts(batch, where))
            size += sum(array.nbytes for _, array in named_arrays(batches[-1]))
            if size > most:
                raise TuningError(
                    f"{where} fills {MEMORY_SHARE:.0%} of this machine's memory and goes on: if it "
                    "does not end, add .take(n)"
                )
    except TuningError:
        raise
    except (Exception, SystemExit) as error:  # of what draws it
        raise TuningError(f"{where} cannot be drawn: {first_line(error)}") from error
    if not batches:
        raise TuningError(f"{where} is empty")
    try:
        return tuple(_joined(each) for each in zip(*batches, strict=True))
    except (ValueError, KeyError) as error:
        raise TuningError(
            f"{where} has batches that do not fit together ({first_line(error)}): "
            "pad all rows to one shape"
        ) from error


def _batches(dataset: Any, where: str) -> Iterable[Any]:
    """The batches of a dataset that is known, or not known not, to end."""
    endless = f"{where} does not end: "
    if _is_of(dataset, "DatasetV2", "tensorflow"):
        if dataset.cardinality() == -1:  # tf.data.INFINITE_CARDINALITY
            raise TuningError(f"{endless}leave out .repeat(), or add .take(n)")
        specs: Iterator[tuple[str, Any]] = named_arrays(dataset.element_spec)
        if any(spec.shape.rank == 0 for _, spec in specs):
            raise TuningError(f"{where} is not in batches: add .batch(32)")
        return dataset  # type: ignore[no-any-return]
    try:
        n = dataset.num_batches
    except NotImplementedError:
        n = None
    if n is None:
        raise TuningError(f"{endless}give it a number of batches, __len__ or num_batches")
    return (dataset[i] for i in range(n))


def _joined(batches: Iterable[Any]) -> Any:
    """The rows of all batches of one structure, one after another."""
    first, *others = batches
    if isinstance(first, dict):
        return {name: _joined([first[name], *(each[name] for each in others)]) for name in first}
    if isinstance(first, list | tuple):
        return type(first)(_joined(each) for each in zip(first, *others, strict=True))
    return np.concatenate([first, *others])


def _checked_arrays(part: Any, where: str) -> Arrays:
    if isinstance(part, Mapping):
        if not part:
            raise TuningError(
                f"{where} is an empty dict: it needs an array for each input or output"
            )
        return {str(name): _checked_arrays(each, where) for name, each in part.items()}
    if isinstance(part, list | tuple) and part and all(map(_is_arrays, part)):
        arrays = (_checked_arrays(each, where) for each in part)
        return list(arrays) if isinstance(part, list) else tuple(arrays)
    return _checked_array(part, where)


def _is_arrays(value: Any) -> bool:
    """Whether an item of a list is an array of its own, and not a row or number of one."""
    if isinstance(value, Mapping):
        return True
    return not isinstance(value, list | tuple) and len(getattr(value, "shape", ())) > 0


def _checked_array(value: Any, where: str) -> np.ndarray:
    try:
        array = np.asarray(_plain(value))
        if array.dtype == object and array.ndim:
            array = _of_objects(array, where)
    except TuningError:
        raise
    except Exception as error:  # of what is asked to be an array
        raise TuningError(f"{where} is not an array: {first_line(error)}") from error
    if array.ndim == 0 or array.dtype == object:
        raise TuningError(f"{where} has to be an array of numbers, not {type(value).__name__}")
    return array


def _plain(value: Any) -> Any:
    """Data frames, their columns and sparse matrices as the arrays that Keras makes of them."""
    if _is_of(value, "DataFrame", "pandas"):
        return value.to_numpy()
    if _is_of(value, "Series", "pandas"):
        return value.to_numpy()[:, None]
    return value.toarray() if hasattr(value, "toarray") else value


def _of_objects(array: np.ndarray, where: str) -> np.ndarray:
    """An array of Python objects as one of numbers or of text."""
    kinds = {_kind(each) for each in array.flat}
    if kinds == {"text"} or kinds <= {"number", "truth"}:
        return np.array(array.tolist())
    if "text" in kinds:
        raise TuningError(
            f"{where} has text and other things in one array, such as missing values or numbers: "
            "give a dict of columns, each of one kind, for a model with an input for each"
        )
    raise TuningError(f"{where} has to be an array of numbers, not of {', '.join(sorted(kinds))}")


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "truth"
    if isinstance(value, int | float | np.number):
        return "number"
    return "text" if isinstance(value, str | bytes) else type(value).__name__


def _is_of(value: Any, name: str, package: str) -> bool:
    """Whether an object's class is, or is made from, a class of a package; imports nothing."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] == package
        for kind in type(value).__mro__
    )


def _places(data: Data) -> Iterator[tuple[str, np.ndarray]]:
    for split in splits_of(data):
        for part, arrays in zip(PARTS, data[split], strict=False):
            yield from named_arrays(arrays, f"{split} {part}")
