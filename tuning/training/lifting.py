"""Hyperparameters of a built Keras model that can be inputs of its program instead of constants.

A place is a number somewhere in a compiled model: the optimizer's learning rate, a layer's dropout
rate, a regularizer's factor. Two models that differ in nothing but the numbers at their places
train with one program, which takes those numbers as arguments. `places` finds them, `fingerprint`
tells what else a model is, and `unproven` says why that cannot be told.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import re
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Lifted = dict[str, Any]
"""The numbers of a model, by the name of their place; scalars, or what JAX traces them as."""

NEUTRAL = 0.5


@dataclass(frozen=True)
class Place:
    """A number in a model.

    Attributes
    ----------
    get : callable
        The number the model was built with.
    set : callable
        Put another there, where the model's configuration is read from.
    lift : callable
        Have the model take the number from the mapping it is given, whenever it is called.
    draws : callable
        Whether the model, as it was built, can draw the noise that the number governs.
    """

    get: Callable[[], float]
    set: Callable[[float], None]
    lift: Callable[[Lifted], None]
    draws: Callable[[], bool] = lambda: True


def places(model: keras.Model) -> dict[str, Place]:
    """The places of a compiled model by name, always in the same order."""
    found = _of_optimizer(model.optimizer)
    regularizers: dict[int, tuple[str, Any]] = {}
    names: set[str] = set()
    for i, layer in enumerate(model._flatten_layers(include_self=False)):
        kind = type(layer)
        where = layer.name if layer.name not in names else f"{layer.name} ({i})"
        names.add(layer.name)
        if (number := _NOISE.get((kind.__module__.partition(".")[0], kind.__name__))) is not None:
            found[f"{where}.{number}"] = _of_noise(layer, number, f"{where}.{number}")
        if (regularizer := layer.activity_regularizer) is not None:
            regularizers[id(regularizer)] = (f"{where}.activity_regularizer", regularizer)
    for variable in model.trainable_variables:
        if variable.regularizer is not None:
            regularizers.setdefault(
                id(variable.regularizer), (f"{variable.path}.regularizer", variable.regularizer)
            )
    for name, regularizer in regularizers.values():
        found |= _of_regularizer(model, name, regularizer)
    found |= _of_losses(model)
    return found


def count(variables: Iterable[keras.Variable]) -> int:
    """How many numbers the variables hold."""
    return sum(math.prod(variable.shape) for variable in variables)


def neutralize(model: keras.Model) -> None:
    """Overwrite the numbers at a model's places with one and the same."""
    for place in places(model).values():
        place.set(NEUTRAL)


def fingerprint(model: keras.Model, description: str) -> str:
    """SHA-256 of a model's description and of its initial weights.

    Of a neutralized model it tells all that it is but for the numbers at its places: layers,
    wiring, dtypes, optimizer, loss, metrics.
    """
    digest = hashlib.sha256(description.encode())
    for variable in model.variables:
        if "seed_generator" not in variable.path:
            digest.update(np.ascontiguousarray(variable.value).tobytes())
    return digest.hexdigest()


def describe(model: keras.Model) -> str:
    """The model as Keras serializes it, as text of one line a value."""
    import keras

    serialized = [keras.saving.serialize_keras_object(model)]
    for layer in model._flatten_layers(include_self=False):
        if not is_keras(type(layer)):  # its get_config may leave out what it was made with
            made_with = getattr(layer, "_auto_config", None)
            serialized.append(made_with.config if made_with is not None else {})
    text = "\n".join(f"{path} = {value}" for path, value in sorted(_leaves(serialized, "")))
    return re.sub(r"0x[0-9a-f]+", "", text)  # addresses, in what has no better name


def unproven(model: keras.Model) -> str:
    """Why two models like this one cannot be proven equal; empty if they can."""
    return next(_doubts(model), "")


def _doubts(model: keras.Model) -> Iterator[str]:
    import keras

    plain = (keras.Sequential, keras.src.models.functional.Functional)
    for part in (model, *model._flatten_layers(include_self=False)):
        if isinstance(part, keras.Model) and type(part) not in plain:
            yield f"{type(part).__name__} is a model of a class of its own"
        if isinstance(part, keras.layers.Lambda):
            yield f"layer {part.name} is a Lambda, whose function could be any"
        for value in (part, *vars(part).values()):
            yield from _doubts_of(value)
    if model.run_eagerly:
        yield "it is compiled to run eagerly"
    config = getattr(model, "_compile_config", None)
    if config is None:
        yield "Keras does not tell what it was compiled with"
    else:
        for value in keras.tree.flatten(dict(config.config)):
            yield from _doubts_of(value)


@contextlib.contextmanager
def seeds_of_noise_apart(seed: int) -> Iterator[None]:
    """Draw the seeds of noise apart from those of initial weights, while a model is built.

    Keras draws both from one stream, and none for a Dropout of rate 0, so that the rate of one
    layer changes the initial weights of those behind it. Where Keras has moved what this holds on
    to, it does nothing.
    """
    import keras

    module = keras.src.random.seed_generator
    original = getattr(module, "make_default_seed", None)
    if original is None:
        yield
        return
    generator = random.Random(seed)
    module.make_default_seed = lambda: generator.randint(1, 10**9)
    try:
        yield
    finally:
        module.make_default_seed = original


def _of_optimizer(optimizer: Any) -> dict[str, Place]:
    import keras

    found = {}
    rate = getattr(optimizer, "_learning_rate", None)
    if isinstance(rate, keras.Variable) and not hasattr(optimizer, "inner_optimizer"):
        # An optimizer variable as it is: the pack gives each member its own value.
        found["learning_rate"] = Place(
            lambda: float(np.asarray(rate.value)), rate.assign, lambda _: None
        )
    if isinstance(getattr(optimizer, "weight_decay", None), float) and is_keras(type(optimizer)):

        def lift(lifted: Lifted) -> None:
            inner = optimizer._apply_weight_decay

            def decay(variables: Any) -> None:
                optimizer.weight_decay = lifted["weight_decay"]
                inner(variables)

            optimizer._apply_weight_decay = decay

        found["weight_decay"] = Place(
            lambda: float(optimizer.weight_decay),
            lambda value: setattr(optimizer, "weight_decay", value),
            lift,
        )
    return found


_NOISE = {
    ("keras", "Dropout"): "rate",
    ("keras", "SpatialDropout1D"): "rate",
    ("keras", "SpatialDropout2D"): "rate",
    ("keras", "SpatialDropout3D"): "rate",
    ("keras", "AlphaDropout"): "rate",
    ("keras", "GaussianDropout"): "rate",
    ("keras", "GaussianNoise"): "stddev",
}


def _of_noise(layer: Any, attribute: str, name: str) -> Place:
    def lift(lifted: Lifted) -> None:
        def call(inputs: Any, training: bool = False) -> Any:
            return noisy(layer, inputs, lifted[name]) if training else inputs

        layer.call = call

    return Place(
        lambda: float(getattr(layer, attribute)),
        lambda value: setattr(layer, attribute, value),
        lift,
        lambda: hasattr(layer, "seed_generator"),
    )


def noisy(layer: Any, inputs: Any, strength: Any) -> Any:
    """The output of a Keras layer of random noise in training, its strength an input.

    Parameters
    ----------
    layer : Dropout, SpatialDropout, AlphaDropout, GaussianDropout or GaussianNoise
        With a seed generator: it was built with a strength above 0.
    inputs : array
    strength : scalar
        The rate, or the standard deviation.
    """
    import jax.numpy as jnp
    import keras

    kind = type(layer).__name__
    seed = layer.seed_generator.next()
    strength = jnp.asarray(strength, inputs.dtype)
    if kind.startswith("Gaussian"):
        noise = keras.random.normal(inputs.shape, dtype=inputs.dtype, seed=seed)
        if kind == "GaussianNoise":
            return inputs + strength * noise
        return inputs * (1 + jnp.sqrt(strength / (1 - strength)) * noise)
    if kind.startswith("Spatial"):
        shape = layer._get_noise_shape(inputs)
    else:
        sizes = layer.noise_shape or (None,) * inputs.ndim
        shape = [
            size if given is None else given
            for size, given in zip(inputs.shape, sizes, strict=True)
        ]
    keep = 1 - strength
    kept = uniform(seed, tuple(shape)) < keep
    if kind == "AlphaDropout":  # Klambauer et al. 2017, as Keras has it
        low = -1.6732632423543772 * 1.0507009873554805
        scale = (keep * (1 + strength * low**2)) ** -0.5
        return scale * jnp.where(kept, inputs, low) - scale * low * strength
    return jnp.where(kept, inputs * jnp.where(keep > 0, 1 / keep, 0), 0)


def uniform(seed: Any, shape: tuple[int, ...]) -> Any:
    """Numbers from [0, 1) in 24 bits, for masks: a hash of (seed, index).

    JAX's own generator, threefry, took 19 ns a number on a CPU, which made dropout a fifth of a
    step of a small network; this takes under 1 ns, as it vectorizes and fuses with its use.

    Parameters
    ----------
    seed : array of uint32, shape (2,)
    shape : tuple of int

    Notes
    -----
    The hash is ``lowbias32`` of C. Wellons (Prospecting for Hash Functions, 2018; public domain),
    whose bits are biased by less than 0.2 % of one another, in two rounds.
    """
    import jax
    import jax.numpy as jnp

    high, low = jnp.asarray(seed[0], jnp.uint32), jnp.asarray(seed[1], jnp.uint32)
    key = _hash(high + _hash(low + jnp.uint32(0x9E3779B9)))
    size = int(np.prod(shape))
    bits = _hash(_hash(jax.lax.iota(jnp.uint32, size) ^ key) + high)
    return ((bits >> 8).astype(jnp.float32) * jnp.float32(2**-24)).reshape(shape)


def _hash(word: Any) -> Any:
    import jax.numpy as jnp

    word = (word ^ (word >> 16)) * jnp.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)


def _of_regularizer(model: keras.Model, name: str, regularizer: Any) -> dict[str, Place]:
    import keras

    factors = {
        keras.regularizers.L1: ("l1",),
        keras.regularizers.L2: ("l2",),
        keras.regularizers.L1L2: ("l1", "l2"),
    }.get(type(regularizer), ())

    def lift(lifted: Lifted) -> None:
        def penalty(x: Any) -> Any:
            ops = keras.ops
            sums = {"l1": lambda: ops.sum(ops.abs(x)), "l2": lambda: ops.sum(ops.square(x))}
            return sum(ops.cast(lifted[f"{name}.{f}"], x.dtype) * sums[f]() for f in factors)

        for variable in model.trainable_variables:
            if variable.regularizer is regularizer:
                variable.regularizer = penalty
        for layer in model._flatten_layers(include_self=False):
            if layer.activity_regularizer is regularizer:
                layer.activity_regularizer = penalty

    def place(factor: str) -> Place:
        return Place(
            lambda: float(getattr(regularizer, factor)),
            lambda value: setattr(regularizer, factor, value),
            lift,
        )

    return {f"{name}.{factor}": place(factor) for factor in factors}


def _of_losses(model: keras.Model) -> dict[str, Place]:
    import keras

    kinds = (keras.losses.BinaryCrossentropy, keras.losses.CategoricalCrossentropy)
    losses = keras.tree.flatten(model.loss)
    return {
        f"loss_{i}.label_smoothing": _of_smoothing(loss, f"loss_{i}.label_smoothing")
        for i, loss in enumerate(losses)
        if type(loss) in kinds
    }


def _of_smoothing(loss: Any, name: str) -> Place:
    import keras

    def put(value: float) -> None:
        loss.label_smoothing = value
        loss._fn_kwargs["label_smoothing"] = value

    def lift(lifted: Lifted) -> None:
        inner = loss.fn

        def smoothed(y_true: Any, y_pred: Any, **arguments: Any) -> Any:
            y_true = keras.ops.cast(y_true, y_pred.dtype)
            amount = keras.ops.cast(lifted[name], y_pred.dtype)
            if isinstance(loss, keras.losses.BinaryCrossentropy):
                share = 0.5
            else:
                share = 1 / y_true.shape[arguments.get("axis", -1)]
            y_true = y_true * (1 - amount) + amount * share
            return inner(y_true, y_pred, **{**arguments, "label_smoothing": 0.0})

        loss.fn = smoothed

    return Place(lambda: float(loss.label_smoothing), put, lift)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{i}]")
    else:
        yield path, json.dumps(value, default=repr)


def is_keras(kind: type) -> bool:
    """Whether a class is one of Keras' own."""
    return kind.__module__.partition(".")[0] == "keras"


def _doubts_of(value: Any) -> Iterator[str]:
    """Why an object that a model holds cannot be compared by its configuration, if it cannot."""
    import keras

    if isinstance(value, types.MethodType):
        value = value.__self__
    if isinstance(value, types.FunctionType):
        if not _is_keras_function(value) and "<locals>" in value.__qualname__:
            yield f"function {value.__name__} is made anew for every model"
        return
    kind = type(value)
    serializable = (
        keras.Layer,
        keras.Loss,
        keras.Metric,
        keras.Initializer,
        keras.Regularizer,
        keras.constraints.Constraint,
        keras.optimizers.Optimizer,
        keras.optimizers.schedules.LearningRateSchedule,
    )
    if is_keras(kind) or not (isinstance(value, serializable) or _is_foreign_callable(value)):
        return
    mine = [parent for parent in kind.__mro__ if not is_keras(parent) and parent is not object]
    if "<locals>" in kind.__qualname__:
        yield f"class {kind.__name__} is made anew for every model"
    elif not any("get_config" in vars(parent) for parent in mine):
        if isinstance(value, keras.Layer):
            told = getattr(value, "_auto_config", None) is not None
        else:  # what takes no arguments is what its class is
            told = not any("__init__" in vars(parent) for parent in mine)
        if not told:
            yield f"{kind.__name__} does not tell what it was made with: it has no get_config"


def _is_keras_function(function: types.FunctionType) -> bool:
    return (function.__module__ or "").partition(".")[0] in ("keras", "jax")


def _is_foreign_callable(value: Any) -> bool:
    """Callable, and neither a class nor of Python's, NumPy's or a backend's own."""
    if isinstance(value, type) or not callable(value):
        return False
    home = type(value).__module__.partition(".")[0]
    return home not in ("builtins", "numpy", "jax", "jaxlib", "tensorflow", "optree")
