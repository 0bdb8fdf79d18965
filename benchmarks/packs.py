"""Are packs faster than Keras' `fit`, for models of several kinds?

With batches of 32 on one thread: CPU milliseconds a step and member in a pack of 8 learning rates,
and of one trained by `fit` on JAX and on TensorFlow; the ratio of the faster of these to the pack;
the members trained at once; and seconds to compile the pack. Each is a process of its own, one
after another; a measurement is the least of several epochs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.measuring import Measurement, as_worker

MINUTES, ROUNDS = 6, 1
BATCH, STEPS, MEMBERS, EPOCHS = 32, 60, 8, 5
BACKENDS = ("jax", "tensorflow")


def measure(smallest: bool) -> Iterator[Measurement]:
    """Each model three ways; at the smallest one model."""
    for name in ("dense",) if smallest else MODELS:
        pack = as_worker("jax", of_pack, name)
        by_fit = {backend: as_worker(backend, ms_of_fit, name) for backend in BACKENDS}
        yield Measurement(name, "pack", pack["ms"], "ms")
        for backend, ms in by_fit.items():
            yield Measurement(name, f"fit, {backend}", ms, "ms")
        yield Measurement(name, "faster", min(by_fit.values()) / pack["ms"], "×")
        yield Measurement(name, "at once", pack["at once"], "")
        yield Measurement(name, "compile", pack["compile"], "s")


def small_convolutions(keras, rate):
    """28×28×1, 16 and 32 kernels of 3×3 with pooling."""
    layers = keras.layers
    return [
        keras.Input((28, 28, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ]


def three_convolutions(keras, rate):
    """32×32×3, 32, 64 and 64 kernels of 3×3 with pooling."""
    layers = keras.layers
    return [
        keras.Input((32, 32, 3)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ]


def separable_convolutions(keras, rate):
    """32×32×3, strided and depthwise-separable, with BatchNormalization."""
    layers = keras.layers
    return [
        keras.Input((32, 32, 3)),
        layers.Conv2D(24, 3, strides=2, padding="same", activation="relu"),
        layers.SeparableConv2D(48, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.SeparableConv2D(64, 3, strides=2, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ]


def gru(keras, rate):
    """Sequences of 50 with 8 features, width 64."""
    return [keras.Input((50, 8)), keras.layers.GRU(64), keras.layers.Dense(10, "softmax")]


def lstm(keras, rate):
    """Sequences of 50 with 8 features, width 64."""
    return [keras.Input((50, 8)), keras.layers.LSTM(64), keras.layers.Dense(10, "softmax")]


def transformer(keras, rate):
    """One block over sequences of 32, width 64, 4 heads."""
    layers = keras.layers
    inputs = keras.Input((32, 16))
    x = layers.Dense(64)(inputs)
    attended = layers.MultiHeadAttention(4, 16, dropout=0.1)(x, x)
    x = layers.LayerNormalization()(x + attended)
    wide = layers.Dense(64)(layers.Dense(128, activation="gelu")(x))
    x = layers.LayerNormalization()(x + layers.Dropout(0.1)(wide))
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, outputs)


def embedding(keras, rate):
    """Sequences of 40 of 5,000 words, width 32."""
    layers = keras.layers
    return [
        keras.Input((40,), dtype="int32"),
        layers.Embedding(5000, 32),
        layers.GlobalAveragePooling1D(),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def dense(keras, rate):
    """784 inputs, two layers of 128 with dropout."""
    layers = keras.layers
    return [
        keras.Input((784,)),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.25),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.25),
        layers.Dense(10, activation="softmax"),
    ]


MODELS: dict[str, tuple[Callable[..., object], str]] = {  # with its optimizer
    "small convolutions": (small_convolutions, "sgd"),
    "small convolutions, Adam": (small_convolutions, "adam"),
    "three convolutions": (three_convolutions, "sgd"),
    "separable convolutions": (separable_convolutions, "adam"),
    "GRU": (gru, "adam"),
    "LSTM": (lstm, "adam"),
    "transformer": (transformer, "adam"),
    "embedding": (embedding, "adam"),
    "dense": (dense, "adam"),
}


def built(name: str, rate: float):
    import keras

    made, optimizer = MODELS[name]
    layers = made(keras, rate)
    model = keras.Sequential(layers) if isinstance(layers, list) else layers
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer]
    model.compile(kind(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def rows(name: str, n: int):
    (inputs,) = built(name, 0.01).inputs
    shape, generator = inputs.shape[1:], np.random.default_rng(0)
    if inputs.dtype == "int32":
        return generator.integers(0, 5000, (n, *shape), np.int32), generator.integers(0, 10, n)
    return generator.random((n, *shape), np.float32), generator.integers(0, 10, n)


def ms_of_fit(name: str) -> float:
    """CPU milliseconds of a step by Keras' `fit`, on the backend of this process."""
    import keras

    from tuning.engines.batches import Split

    model, split = built(name, 0.01), Split(rows(name, BATCH * STEPS))
    if keras.backend.backend() == "tensorflow":
        model.steps_per_execution = 20
    least = float("inf")
    for _ in range(EPOCHS + 1):
        started = time.process_time()
        model.fit(split.batches(BATCH), verbose=0, shuffle=False)
        least = min(least, time.process_time() - started)
    return least / STEPS * 1e3


def of_pack(name: str) -> dict[str, float]:
    """CPU milliseconds of a step and member, members at once, and seconds to compile."""
    import jax
    import keras

    from tuning.compatibility.keras import seeds_of_noise_apart
    from tuning.engines.parts import shapes_of
    from tuning.engines.program import Program
    from tuning.packing.sameness import steps_of

    data = {
        "train": rows(name, BATCH * STEPS),
        **dict.fromkeys(("validation", "test"), rows(name, 32)),
    }
    members = []
    for i in range(MEMBERS):
        keras.utils.set_random_seed(0)
        with seeds_of_noise_apart(0):
            model = built(name, 0.001 * (i + 1))
        members.append(
            steps_of(model, shapes_of(data, "train", BATCH), shapes_of(data, "train", 32))
        )
    program = Program(members, None, data, BATCH, epochs=1000)
    at_once = program.block_size(MEMBERS, 64)
    state = program.start(range(at_once))
    batches = program.batches([np.arange(BATCH * STEPS)])
    started, least = time.perf_counter(), float("inf")
    state, logs = program.epoch(state, batches)
    jax.block_until_ready(logs)
    first = time.perf_counter() - started
    for _ in range(EPOCHS):
        started = time.process_time()
        state, logs = program.epoch(state, batches)
        jax.block_until_ready(logs)
        least = min(least, time.process_time() - started)
    return {"ms": least / STEPS / at_once * 1e3, "compile": first - least, "at once": at_once}
