"""What users give as data: every form that Keras' fit takes comes to the same arrays."""

import itertools
import math
import os
import subprocess
import sys
from decimal import Decimal

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from tests.conftest import REPOSITORY, packing_of, train_pack
from tests.plain import train_plainly
from tuning import TuningError
from tuning.problem.data import (
    SPLITS,
    checked_split,
    data_fingerprint,
    map_arrays,
    n_samples,
    named_arrays,
    text_of,
)
from tuning.problem.problem import load_data

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 1, 0])
FRAME = pd.DataFrame({"a": range(6), "b": [True, False] * 3, "c": np.linspace(0, 1, 6)})


def shapes(arrays):
    return map_arrays(lambda array: (array.shape, array.dtype.kind), arrays)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (X.tolist(), ((6, 2), "f")),
        ([np.float64(1.0)] * 6, ((6,), "f")),
        ([X, X[:, :1]], [((6, 2), "f"), ((6, 1), "f")]),
        (
            (X, {"a": X, "b": (Y, Y)}),
            (((6, 2), "f"), {"a": ((6, 2), "f"), "b": (((6,), "i"),) * 2}),
        ),
        (FRAME, ((6, 3), "f")),
        (FRAME[["a"]], ((6, 1), "i")),
        (FRAME["b"], ((6, 1), "b")),
        (dict(FRAME), {"a": ((6, 1), "i"), "b": ((6, 1), "b"), "c": ((6, 1), "f")}),
        (FRAME.astype({"a": "Int64", "b": "boolean", "c": "Float64"}), ((6, 3), "f")),
        (pd.Series(list("xyzxyz"), dtype="category"), ((6, 1), "U")),
        (pd.DataFrame({"a": list("xyzxyz"), "b": ["long", "s"] * 3}), ((6, 2), "U")),
        (np.array([b"x"] * 6, object), ((6,), "S")),
        (Y > 0, ((6,), "b")),
        (X.astype(ml_dtypes.bfloat16), ((6, 2), "V")),
        (scipy.sparse.csr_matrix(X), ((6, 2), "f")),
    ],
)
def test_x_may_be_whatever_is_arrays(given, expected):
    x, y = checked_split((given, Y), "train")
    assert shapes(x) == expected
    assert n_samples(x) == n_samples(y) == 6


def test_tensors_of_jax_and_tensorflow_are_arrays():
    import jax.numpy as jnp
    import tensorflow as tf

    x, y, weights = checked_split(
        ((tf.constant(X), tf.constant(["a"] * 6)), jnp.asarray(Y), tf.ones(6)), "train"
    )
    assert shapes(x) == (((6, 2), "f"), ((6,), "S"))
    assert (shapes(y), shapes(weights)) == (((6,), "i"), ((6,), "f"))


def test_one_array_of_weights_is_for_every_output():
    weights = np.ones(6)
    y = {"a": Y, "b": [X, X]}
    assert map_arrays(id, checked_split((X, y, weights), "train")[2]) == {
        "a": id(weights),
        "b": [id(weights)] * 2,
    }
    assert checked_split((X, Y, None), "train")[1:] == (Y,)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((X, Y, Y, Y), r"has to be \(x, y\), .* or a tf.data.Dataset, not tuple of 4"),
        ((x for x in X), "not generator"),
        ((X, Y, Y[:4]), "has 6 samples in x but 4 in sample_weight"),
        (([X, X[:2]], Y), r"x: its arrays have different lengths, \[2, 6\]"),
        ((X, Y, [Y, Y]), "sample_weight has to be one array, or one for each array of y"),
        ((X, [Y, Y], X), r"sample_weight has the shape \(6, 2\) for several outputs"),
        ((X, np.array(list("abcabc"))), r"y is text: give numbers, such as numpy\.unique"),
        ((FRAME.astype({"a": str}), Y), "x has text and other things in one array"),
        ((pd.Series(["a", None] * 3), Y), "such as missing values"),
        ((pd.Series([Decimal(1)] * 6), Y), "x has to be an array of numbers, not of Decimal"),
        (({}, Y), "x is an empty dict"),
    ],
)
def test_what_is_not_data_is_refused_in_a_sentence(given, says):
    with pytest.raises(TuningError, match=f"^train.*{says}") as caught:
        checked_split(given, "train")
    assert "\n" not in str(caught.value)


def test_text_is_found_wherever_it_is():
    data = dict.fromkeys(SPLITS, (X, Y))
    assert text_of(data) == ""
    assert text_of({**data, "test": ({"a": [X, np.array(["b"] * 6)]}, Y)}) == "test x/a/1"


@pytest.mark.parametrize("place", range(5))
def test_the_fingerprint_sees_every_array_and_weight(place):
    data = dict.fromkeys(SPLITS, checked_split(([X, {"a": X}], (Y, Y), Y), "train"))
    before = data_fingerprint(data)
    arrays = [array.copy() for _, array in named_arrays(data["test"])]
    arrays[place % len(arrays)][0] += 1
    left = iter(arrays)
    assert data_fingerprint({**data, "test": map_arrays(lambda _: next(left), data["test"])}) != (
        before
    )


def dataset_of(*parts, n=4):
    """A `PyDataset` of batches of n rows."""
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return math.ceil(len(parts[-1]) / n)

        def __getitem__(self, i):
            rows = slice(i * n, (i + 1) * n)
            return tuple(map_arrays(lambda array: array[rows], part) for part in parts)

    return Batches()


def test_a_dataset_is_drawn_once_and_whole():
    import tensorflow as tf

    parts = {"a": X, "b": (Y, X)}, Y, np.linspace(0, 1, 6)
    for dataset in (
        dataset_of(*parts),
        tf.data.Dataset.from_tensor_slices(parts).batch(4),
        tf.data.Dataset.from_tensor_slices(parts).filter(lambda *_: True).batch(4),
    ):
        drawn = checked_split(dataset, "train")
        for (name, array), (same, expected) in zip(
            named_arrays(drawn), named_arrays(parts), strict=True
        ):
            assert name == same
            np.testing.assert_array_equal(array, expected)


def refused(kind):
    import keras
    import tensorflow as tf

    def generated(*batches):
        spec = tf.TensorSpec((None, None), tf.float64), tf.TensorSpec(None, tf.int64)
        generate = tf.data.Dataset.from_generator
        return generate(lambda: itertools.cycle(batches), output_signature=spec)

    pairs = tf.data.Dataset.from_tensor_slices((X, Y))
    return {
        "endless PyDataset": type("Endless", (keras.utils.PyDataset,), {"num_batches": None})(),
        "PyDataset without length": keras.utils.PyDataset(),
        "repeated": pairs.batch(2).repeat(),
        "unbatched": pairs,
        "of unknown length": generated((X, Y)),
        "of x": tf.data.Dataset.from_tensor_slices(X).batch(2),
        "of two widths": generated((X, Y), (X[:, :1], Y)).take(2),
        "of four": dataset_of(X, X, X, X),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("endless PyDataset", "does not end: give it a number of batches"),
        ("PyDataset without length", "does not end: give it a number of batches"),
        ("repeated", r"does not end: leave out \.repeat"),
        ("unbatched", r"is not in batches: add \.batch"),
        ("of unknown length", r"fills 50% of this machine's memory .* add \.take\(n\)"),
        ("of x", r"has to give batches \(x, y\) or \(x, y, sample_weight\), not EagerTensor"),
        ("of two widths", "has batches that do not fit together .* pad all rows to one shape"),
        ("of four", r"has to give batches \(x, y\) or \(x, y, sample_weight\), not tuple of 4"),
    ],
)
def test_a_dataset_that_cannot_be_drawn_is_refused_in_a_sentence(kind, says, monkeypatch):
    dataset = refused(kind)
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    with pytest.raises(TuningError, match=f"^train {says}") as caught:
        checked_split(dataset, "train")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", ["sample_weights", "weighted_lists"])
def test_weights_and_lists_train_as_in_plain_keras(name):
    from tests.conftest import fit

    problem, packing = packing_of(REPOSITORY / "tests" / "zoo" / f"{name}.py")
    data = load_data(problem)
    plain = train_plainly(problem, data, 0, 0)
    (packed,) = train_pack(problem, data, [0], 0, packing)
    assert packed.engine == "vectorized"
    for outcome in (packed, fit(problem, data, 0, 0)):
        assert outcome.metrics == pytest.approx(plain, rel=1e-4, abs=1e-6)


ON_TENSORFLOW = """
import keras
import numpy as np
from tuning import Grid
grid = Grid({"units": [2]})
def load_data():
    colour, size = np.array(["red", "green", "blue"] * 8)[:, None], np.arange(24.0)[:, None]
    kind = np.eye(3)[np.arange(24) % 3]
    return dict.fromkeys(
        ("train", "validation", "test"), ([colour, size], (kind, size > 9), np.ones(24))
    )
def build_model(config):
    colour, size = keras.Input((1,), dtype="string"), keras.Input((1,))
    number = keras.layers.StringLookup(vocabulary=["red", "green"])(colour)
    hidden = keras.layers.Flatten()(keras.layers.Embedding(4, config["units"])(number))
    hidden = keras.layers.Concatenate()([hidden, size])
    kind = keras.layers.Dense(3, "softmax", name="kind")(hidden)
    large = keras.layers.Dense(1, "sigmoid", name="large")(hidden)
    model = keras.Model([colour, size], [kind, large])
    model.compile(
        "adam",
        ["categorical_crossentropy", "binary_crossentropy"],
        metrics=[["accuracy", keras.metrics.F1Score(name="f1")], ["accuracy"]],
        weighted_metrics=[[], ["AUC"]],
    )
    return model
"""

TRAINS = """
import sys
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.execution.worker import Job, probe, train
from tuning.trial import Trial
problem, job = load_problem(sys.argv[1]), Job(0, "tensorflow")
data = load_data(problem)
found = probe(problem, data, job, False)
print(found.error or sorted(found.metrics))
trials = [Trial(0, problem.grid[0], 0)]
((outcome,),) = (report.outcomes for report in train(problem, data, trials, job))
print(outcome.error or sorted(name[4:] for name in outcome.metrics if name.startswith("val_")))
"""


def test_text_lists_weights_and_array_metrics_train_on_tensorflow(tmp_path):
    path = tmp_path / "colours.py"
    path.write_text(ON_TENSORFLOW)
    done = subprocess.run(
        [sys.executable, "-c", TRAINS, path],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = [f"kind_f1[{i}]" for i in range(3)]
    names += ["kind_accuracy", "kind_loss", "large_AUC", "large_accuracy", "large_loss", "loss"]
    assert done.stdout.splitlines()[-2:] == [str(sorted(names))] * 2
