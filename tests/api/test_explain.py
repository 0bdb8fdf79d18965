"""What is said of a frozen part of a network."""

from tuning.api.explain import said_of_frozen
from tuning.execution.worker import Job, probe
from tuning.packing.axes import Packing
from tuning.problem.functions import problem_of
from tuning.problem.problem import load_data

COLUMNS = 40


def rows():
    import numpy as np

    x = np.random.default_rng(0).normal(size=(96, COLUMNS)).astype("float32")
    y = (x.sum(1) > 0).astype("float32")
    return {"train": (x[:64], y[:64]), "validation": (x[64:], y[64:])}


def build_model(config):
    import keras

    weights = keras.initializers.GlorotUniform(seed=1)
    frozen = keras.layers.Dense(30, "relu", kernel_initializer=weights, trainable=False)
    layers = [keras.Input((COLUMNS,)), frozen, keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(config["rate"]), "binary_crossentropy")
    return model


def test_a_frozen_part_is_said_with_its_share_of_the_arithmetic(worker):
    problem = problem_of(build_model, {"rate": [0.1, 0.2], "epochs": [1]}, rows)
    packing = probe(problem, load_data(problem), Job(0, "jax"), True).packing
    operations, share = packing.once
    assert operations >= 3  # a product, a bias and an activation
    assert share == COLUMNS * 30 / (COLUMNS * 30 + 2 * 30)  # the head: forward, and its gradient
    assert said_of_frozen(packing) == (
        f"Part of the network is frozen: the first operations of a training step ({operations}, "
        "with 95% of its arithmetic) are computed once for each row of the data."
    )


def test_nothing_is_said_where_nothing_is_frozen():
    assert said_of_frozen(Packing()) == ""
