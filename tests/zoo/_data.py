"""Small made-up data for the problems beside this file."""

import numpy as np

TRAIN, VALIDATION, TEST = 96, 32, 32
ROWS = TRAIN + VALIDATION + TEST


def split(x, y):
    """96 rows for training, 32 for validation, 32 for the test; of a dict, those of each array."""

    def rows(arrays, part):
        if isinstance(arrays, dict):
            return {name: array[part] for name, array in arrays.items()}
        return arrays[part]

    parts = {
        "train": slice(0, TRAIN),
        "validation": slice(TRAIN, TRAIN + VALIDATION),
        "test": slice(TRAIN + VALIDATION, ROWS),
    }
    return {name: (rows(x, part), rows(y, part)) for name, part in parts.items()}


def numbers(columns=8, seed=0):
    """Rows of normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=(ROWS, columns)).astype("float32")


def binary(columns=8):
    """Is a weighted sum of the columns positive? y is one column of 0 and 1."""
    x = numbers(columns)
    weights = np.random.default_rng(1).normal(size=(columns, 1))
    return split(x, (x @ weights > 0).astype("float32"))


def classes(columns=8, n=3):
    """Which of n weighted sums is the largest? y has integers."""
    x = numbers(columns)
    weights = np.random.default_rng(1).normal(size=(columns, n))
    return split(x, np.argmax(x @ weights, axis=1).astype("int32"))


def one_hot(columns=8, n=3):
    """As `classes`; y has one column a class."""
    return {
        part: (x, np.eye(n, dtype="float32")[y]) for part, (x, y) in classes(columns, n).items()
    }


def regression(columns=8):
    """A curved function of the columns, with noise; y is one column."""
    x = numbers(columns)
    weights = np.random.default_rng(1).normal(size=(columns, 1)) / 2
    noise = np.random.default_rng(2).normal(size=(ROWS, 1))
    return split(x, (np.tanh(x @ weights) + 0.1 * noise).astype("float32"))


def images(size=8, channels=1, n=2):
    """Square images whose upper part is brighter the higher their class, an integer."""
    random = np.random.default_rng(0)
    y = random.integers(0, n, ROWS)
    x = random.uniform(size=(ROWS, size, size, channels))
    x[:, : size // 2] += 0.5 * y[:, None, None, None]
    return split((x / x.max()).astype("float32"), y.astype("int32"))


def masks(size=8):
    """Noisy images, and for each pixel whether it belongs to the bright rectangle."""
    random = np.random.default_rng(0)
    y = np.zeros((ROWS, size, size, 1), "float32")
    for image in y:
        top, left = random.integers(0, size // 2, 2)
        image[top : top + size // 2, left : left + size // 2] = 1
    x = y + 0.3 * random.normal(size=y.shape)
    return split(x.astype("float32"), y)


def sequences(steps=6, columns=3):
    """Random walks, and whether the first column ends above zero; y is one column."""
    random = np.random.default_rng(0)
    x = np.cumsum(random.normal(size=(ROWS, steps, columns)), axis=1).astype("float32")
    return split(x, (x[:, -1, :1] > 0).astype("float32"))


def tokens(steps=6, vocabulary=12):
    """Sentences of integers, filled up with 0, and whether the token 1 is in them."""
    random = np.random.default_rng(0)
    x = random.integers(1, vocabulary, (ROWS, steps)).astype("int32")
    x[np.arange(steps) >= random.integers(2, steps + 1, (ROWS, 1))] = 0
    return split(x, (x == 1).any(axis=1, keepdims=True).astype("float32"))
