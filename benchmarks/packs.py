"""Are packs faster than Keras' `fit`? Models of several kinds: `python benchmarks/packs.py`.

For each model, with batches of 32 on one thread: CPU milliseconds a step and member in a pack of 8
learning rates, and of one trained by `fit` on JAX and on TensorFlow; the ratio to the faster of
these; the members trained at once; and seconds to compile the pack. Each is a process of its own,
one after another; a measurement is the least of several epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

BATCH, STEPS, MEMBERS, EPOCHS = 32, 60, 8, 5


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


def child_fit(name: str) -> dict[str, float]:
    from tuning.training.batches import Split

    model, split = built(name, 0.01), Split(rows(name, BATCH * STEPS))
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        model.steps_per_execution = 20
    order, least = np.arange(BATCH * STEPS), float("inf")
    for _ in range(EPOCHS + 1):
        started = time.process_time()
        model.fit(split.batches(BATCH, order), verbose=0, shuffle=False)
        least = min(least, time.process_time() - started)
    return {"ms": least / STEPS * 1e3}


def child_pack(name: str) -> dict[str, float]:
    import jax
    import keras

    from tuning.compatibility.keras import seeds_of_noise_apart
    from tuning.packing.sameness import steps_of
    from tuning.training.parts import shapes_of
    from tuning.training.program import Program

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
    return {
        "ms": least / STEPS / at_once * 1e3,
        "compile": first - least,
        "at_once": at_once,
    }


def measured(child: str, backend: str, name: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", child, backend, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", help="only these, separated by commas")
    parser.add_argument("--json", action="store_true", help="print a line of JSON a model")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        from tuning.training.threads import one_cpu
        from tuning.training.worker import prepare

        child, backend, name = options.child
        with one_cpu():
            prepare(backend)
            print(json.dumps({"fit": child_fit, "pack": child_pack}[child](name)))
        return
    if not options.json:
        print(f"{'':26}{'pack':>8}{'JAX':>8}{'TF':>8}   ms; ratio, at once, compile")
    for name in options.models.split(",") if options.models else MODELS:
        pack = measured("pack", "jax", name)
        jax, tensorflow = (measured("fit", b, name)["ms"] for b in ("jax", "tensorflow"))
        if options.json:
            fits = {"fit on JAX": jax, "fit on TensorFlow": tensorflow}
            print(json.dumps({"model": name, **pack, "pack": pack["ms"], **fits}), flush=True)
            continue
        print(
            f"{name:26}{pack['ms']:8.2f}{jax:8.2f}{tensorflow:8.2f}   "
            f"{min(jax, tensorflow) / pack['ms']:.2f}, {pack['at_once']:.0f}, "
            f"{pack['compile']:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
