"""Code for another backend than Keras runs on: named, with the remedy."""

import re

import pytest

from tests.conftest import changed, fit
from tuning.compatibility import keras as of_keras
from tuning.execution.worker import Job, probe
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data

pytestmark = pytest.mark.usefixtures("worker")

METRIC, LAYER = 'metrics=["accuracy"]', "keras.layers.Dropout(0.1)"
CODE = """
import keras
import numpy as np
import tensorflow as tf

ONE = tf.ones((1,))

def specificity(y_true, y_pred):
    negative = tf.cast(tf.equal(tf.cast(y_true, tf.float32), 0.0), tf.float32)
    return tf.reduce_sum(negative * tf.cast(y_pred < 0.5, tf.float32))

def by_a_tensor(y_true, y_pred):
    return y_pred * ONE

def wrong(y_true, y_pred):
    tf.constant(1.0)
    return y_pred.no_such_thing

class Own(keras.metrics.Metric):
    def update_state(self, y_true, y_pred, sample_weight=None):
        from tensorflow import reduce_sum
        reduce_sum(y_pred)
    def result(self):
        return 0.0

class Scaled(keras.layers.Layer):
    def call(self, inputs):
        return tf.sqrt(
            inputs
        )
"""


def told(folder, *replacements):
    problem = load_problem(str(changed(folder, ("import numpy as np\n", CODE), *replacements)))
    data = load_data(problem)
    return problem, data, probe(problem, data, Job(0, "jax"), pack=False)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (METRIC, "metrics=[specificity]", "specificity"),
        (METRIC, "metrics=[by_a_tensor]", "by_a_tensor"),
        (METRIC, "metrics=[Own()]", r"Own\.update_state"),
        ('loss="binary_crossentropy"', "loss=specificity", "specificity"),
        (LAYER, "Scaled()", r"Scaled\.call"),
        (LAYER, "keras.layers.Lambda(lambda x: tf.sqrt(x))", r"build_model\.<locals>\.<lambda>"),
    ],
)
def test_a_function_for_tensorflow_is_named_with_the_remedy(tmp_path, old, new, name):
    found = told(tmp_path, (old, new))[2]
    remedy = r"add --backend tensorflow, where each trial goes through Keras' fit"
    sentence = rf"^{name} \(changed\.py, line \d+\) calls TensorFlow, and Keras runs on JAX: "
    assert re.search(sentence + remedy, found.error), found.error


def test_a_step_for_tensorflow_is_refused_with_the_remedy(tmp_path):
    own = "class Own(keras.Sequential):\n    def train_step(self, data):\n        pass\n"
    path = changed(tmp_path, ("import numpy as np\n", CODE + own), ("keras.Sequential(", "Own("))
    problem = load_problem(str(path))
    assert probe(problem, load_data(problem), Job(0, "jax"), pack=False).error == (
        "Own.train_step is not for JAX, where Keras gives it (state, data): "
        "add --backend tensorflow, where each trial goes through Keras' fit"
    )


def test_a_lookup_that_only_prepares_the_data_is_no_hindrance(tmp_path):
    of_keras.let_tensorflow_be()
    lookup = "import keras\nLOOKUP = keras.layers.StringLookup(vocabulary=['a'])\n"
    path = changed(tmp_path, ("import numpy as np\n", lookup + "import numpy as np\n"))
    assert load_problem(str(path)).grid.size


def test_another_error_of_such_a_function_stays_what_it_is(tmp_path):
    found = told(tmp_path, (METRIC, "metrics=[wrong]"))[2]
    assert found.error.startswith("AttributeError: ")
    assert "--backend" not in found.error


def test_a_trial_that_calls_tensorflow_says_so_in_its_row(tmp_path):
    which = 'metrics=[specificity] if config["units"] == 8 else ["accuracy"]'
    problem, data, found = told(tmp_path, (METRIC, which))
    assert not found.error
    trial = problem.grid.index({**problem.grid[0], "units": 8})
    outcome = fit(problem, data, trial, seed=0)
    assert (outcome.status, outcome.error.partition(" ")[0]) == ("failed", "specificity")


def test_what_only_tensorflow_has_is_refused_with_the_remedy(tmp_path):
    remedy = "add --backend tensorflow, where each trial goes through Keras' fit"
    lookup = told(tmp_path, (LAYER, "keras.layers.IntegerLookup(vocabulary=[1])"))[2]
    assert lookup.error == f"IntegerLookup works on TensorFlow alone: {remedy}"
    text = told(tmp_path, ("(x[:192],", '(x[:192].astype("U"),'))[2]
    assert text.error == f"train x is text, which only TensorFlow has: {remedy}"
