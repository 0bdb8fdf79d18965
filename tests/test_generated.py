"""Packs of generated models equal plain Keras: layers, options, hidden numbers, shared objects."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import TINY, train_pack
from tests.plain import train_plainly
from tuning import Grid, load_problem
from tuning.engines.vectorized import look_at
from tuning.execution.worker import Job, probe
from tuning.problem.problem import load_data

pytestmark = pytest.mark.usefixtures("worker")

NUMBERS = st.sampled_from([0.05, 0.2, 0.35, 0.6, 0.8])
SHAPES = {"row": (6,), "image": (6, 6, 2), "sequence": (5, 4)}
ANYWHERE = ["scale", "lambda", "leaky", "layer norm", "batch norm", "dropout", "noise", "identity"]
INNER = {
    "row": ["dense", "residual", "nested", "gated"],
    "image": ["conv", "strided", "depthwise", "pool", "average", "grouped"],
    "sequence": ["conv1d", "lstm", "gru", "attention", "dense"],
}
OPTIMIZERS = ["sgd", "momentum", "adam", "adamw", "rmsprop", "adagrad", "own"]
LOSSES = ["mse", "huber", "weighted", "smoothed"]


@st.composite
def recipes(draw: Any) -> dict[str, Any]:
    """What a model is made of: each number is a constant, or one of the grid's two axes."""
    kind = draw(st.sampled_from(sorted(SHAPES)))
    number = st.one_of(st.sampled_from(["a", "b"]), NUMBERS)
    layer = st.tuples(st.sampled_from([*INNER[kind], *ANYWHERE]), number)
    return {
        "kind": kind,
        "layers": draw(st.lists(layer, min_size=1, max_size=3)),
        "optimizer": (draw(st.sampled_from(OPTIMIZERS)), draw(number)),
        "loss": (draw(st.sampled_from(LOSSES)), draw(number)),
        "penalty": draw(st.sampled_from([None, "shared", "own"])),
        "schedule": draw(st.booleans()),
        "batch_size": draw(st.sampled_from([16, 32, 60])),
        "a": draw(st.lists(NUMBERS, min_size=2, max_size=2, unique=True)),
        "b": draw(NUMBERS),
    }


def made(name: str, x: Any, number: float, penalty: Any) -> Any:
    """One step of a model, on a tensor."""
    import keras

    layers = keras.layers

    class Scale(layers.Layer):  # its number is set behind its back
        by = 1.0

        def call(self, inputs):
            return inputs * self.by

    if name == "scale":
        scale = Scale()
        scale.by = 0.5 + number
        return scale(x)
    if name == "residual":
        return layers.Add()([x, layers.Dense(x.shape[-1], "tanh", kernel_regularizer=penalty)(x)])
    if name == "nested":
        inner = keras.Sequential([layers.Dense(5, "relu"), layers.Dropout(number), layers.Dense(4)])
        return inner(x)
    if name == "gated":
        return layers.Multiply()([layers.Dense(4, "sigmoid")(x), layers.Dense(4)(x)])
    if name == "attention":
        return layers.MultiHeadAttention(2, 3, dropout=number)(x, x)
    return {
        "lambda": lambda: layers.Lambda(lambda inputs: inputs * (1 + number) - number),
        "leaky": lambda: layers.LeakyReLU(negative_slope=number),
        "layer norm": lambda: layers.LayerNormalization(epsilon=number / 10),
        "batch norm": lambda: layers.BatchNormalization(momentum=number),
        "dropout": lambda: layers.Dropout(number),
        "noise": lambda: layers.GaussianNoise(number),
        "identity": layers.Identity,
        "dense": lambda: layers.Dense(5, "tanh", kernel_regularizer=penalty),
        "conv": lambda: layers.Conv2D(4, 3, padding="same", activation="relu"),
        "strided": lambda: layers.Conv2D(4, 3, strides=2, padding="same", activation="elu"),
        "grouped": lambda: layers.Conv2D(4, 3, groups=2, padding="same", dilation_rate=2),
        "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same"),
        "pool": lambda: layers.MaxPooling2D(2, padding="same"),
        "average": lambda: layers.AveragePooling2D(2, padding="same"),
        "conv1d": lambda: layers.Conv1D(4, 2, padding="causal", activation="relu"),
        "lstm": lambda: layers.LSTM(4, return_sequences=True, recurrent_dropout=number),
        "gru": lambda: layers.GRU(4, return_sequences=True, dropout=number),
    }[name]()(x)


def model_of(recipe: dict[str, Any], config: dict[str, Any], shared: Any) -> Any:
    """The compiled model of a configuration."""
    import keras

    def value(number: Any) -> float:
        return config[number] if isinstance(number, str) else number

    own = keras.regularizers.L2(config["a"] / 10)
    penalty = {"shared": shared, "own": own, None: None}[recipe["penalty"]]
    inputs = keras.Input(SHAPES[recipe["kind"]])
    x = inputs
    for name, number in recipe["layers"]:
        x = made(name, x, value(number), penalty)
    if len(x.shape) > 2:
        x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(x))
    model.compile(optimizer_of(recipe, value), loss_of(*recipe["loss"], value), metrics=["mae"])
    return model


def optimizer_of(recipe: dict[str, Any], value: Any) -> Any:
    import keras

    name, number = recipe["optimizer"]
    rate: Any = 0.02

    class Warmup(keras.optimizers.schedules.LearningRateSchedule):  # tells nothing of itself
        def __call__(self, step):
            return (
                0.05
                * keras.ops.minimum(1.0, (keras.ops.cast(step, "float32") + 1) / 9)
                * (1 + value("a"))
            )

    class Own(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            if len(variable.shape) == 1:
                learning_rate = learning_rate * value(number)
            super().update_step(gradient, variable, learning_rate)

    if recipe["schedule"]:
        rate = Warmup()
    return {
        "sgd": lambda: keras.optimizers.SGD(rate, clipnorm=1 + value(number)),
        "momentum": lambda: keras.optimizers.SGD(rate, momentum=value(number), nesterov=True),
        "adam": lambda: keras.optimizers.Adam(rate, beta_1=value(number), epsilon=1e-3),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=value(number), epsilon=1e-3),
        "rmsprop": lambda: keras.optimizers.RMSprop(rate, rho=value(number), epsilon=1e-3),
        "adagrad": lambda: keras.optimizers.Adagrad(rate, value(number)),
        "own": lambda: Own(rate),
    }[name]()


def loss_of(name: str, number: Any, value: Any) -> Any:
    import keras

    def weighted(y_true, y_pred):
        return keras.ops.mean((value(number) + y_true) * keras.ops.square(y_true - y_pred), axis=-1)

    return {
        "mse": "mean_squared_error",
        "huber": keras.losses.Huber(value(number)),
        "weighted": weighted,
        "smoothed": keras.losses.BinaryCrossentropy(label_smoothing=value(number)),
    }[name]


def rows(kind: str) -> dict[str, Any]:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(96, *SHAPES[kind])).astype("float32")
    y = (x.reshape(96, -1)[:, :3].sum(axis=1) > 0).astype("float32")[:, None]
    cuts = {"train": slice(0, 60), "validation": slice(60, 78), "test": slice(78, 96)}
    return {split: (x[cut], y[cut]) for split, cut in cuts.items()}


def check(recipe: dict[str, Any]) -> None:
    """Train a pack, and each of its members plainly."""
    import keras

    shared = keras.regularizers.L1(0.01)  # one object for all models
    problem = dataclasses.replace(
        load_problem(str(TINY)),
        space=Grid({"a": recipe["a"], "b": [recipe["b"]], "batch_size": [recipe["batch_size"]]}),
        load_data=lambda: rows(recipe["kind"]),
        build_model=lambda config: model_of(recipe, config, shared),
    )
    data = load_data(problem)
    packing = probe(problem, data, Job(0, "jax"), pack=True).packing
    assert not packing.reason
    trials = list(range(problem.grid.size))
    outcomes = train_pack(problem, data, trials, 0, packing)
    assert {(each.status, each.engine) for each in outcomes} == {("ok", "vectorized")}
    steps = look_at(problem, data, problem.grid[0], 0, drawn=packing.drawn)
    noisy = any("random" in each.name for each in steps.train.body.operations)
    for trial, outcome in zip(trials, outcomes, strict=True):
        if noisy:
            expected = train_pack(problem, data, [trial], 0, packing)[0].metrics
        else:
            expected = train_plainly(problem, data, trial, 0)
        for name, value in expected.items():
            np.testing.assert_allclose(
                outcome.metrics[name], value, rtol=1e-4, atol=2e-6, err_msg=f"{trial} {name}"
            )


HOW = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


@given(recipes())
@settings(max_examples=5, **HOW)
def test_packs_of_generated_models_are_what_plain_keras_gives(recipe):
    check(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
@given(recipe=recipes())
@settings(max_examples=20, **(HOW | {"derandomize": False}))
def test_packs_of_many_generated_models_are_what_plain_keras_gives(part, recipe):
    check(recipe)
