"""Are packs faster than Keras' `fit`? Models of several kinds: `python benchmarks/packs.py`.

For each model, with batches of 32 on one thread: CPU milliseconds a step and member in a pack of 8
learning rates, and of one trained by `fit` on JAX and on TensorFlow; the ratio to the faster of
these; seconds to compile the pack; and milliseconds to build and trace one member. Each is a
process of its own, one after another; a measurement is the least of several epochs.
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


MODELS: dict[str, tuple[Callable[..., object], str, float]] = {  # optimizer, and the ratio aimed at
    "small convolutions": (small_convolutions, "sgd", 1.5),
    "small convolutions, Adam": (small_convolutions, "adam", 1.5),
    "three convolutions": (three_convolutions, "sgd", 1.0),
    "separable convolutions": (separable_convolutions, "adam", 1.0),
    "GRU": (gru, "adam", 1.5),
    "LSTM": (lstm, "adam", 1.5),
    "transformer": (transformer, "adam", 1.2),
    "dense": (dense, "adam", 1.0),
}


def built(name: str, rate: float):
    import keras

    made, optimizer, _ = MODELS[name]
    layers = made(keras, rate)
    model = keras.Sequential(layers) if isinstance(layers, list) else layers
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer]
    model.compile(kind(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def rows(name: str, n: int):
    shape = built(name, 0.01).inputs[0].shape[1:]
    generator = np.random.default_rng(0)
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

    from tuning.compatibility.keras import seeds_of_noise_apart
    from tuning.packing.sameness import steps_of
    from tuning.training.parts import shapes_of
    from tuning.training.program import Program

    data = {
        "train": rows(name, BATCH * STEPS),
        **dict.fromkeys(("validation", "test"), rows(name, 32)),
    }
    members, proofs = [], []
    for i in range(MEMBERS):
        started = time.perf_counter()
        with seeds_of_noise_apart(0):
            import keras

            keras.utils.set_random_seed(0)
            model = built(name, 0.001 * (i + 1))
        members.append(steps_of(model, shapes_of(data, BATCH), shapes_of(data, 32)))
        proofs.append(time.perf_counter() - started)
    program = Program(members, None, data, BATCH, epochs=1000)
    at_once = int(os.environ.get("AT_ONCE", program.block_size(MEMBERS, 64)))
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
        "proof": min(proofs) * 1e3,
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
    print(f"{'':26}{'pack':>8}{'JAX':>8}{'TF':>8}   ms; ratio (aim), at once, compile, proof")
    for name in options.models.split(",") if options.models else MODELS:
        pack = measured("pack", "jax", name)
        jax, tensorflow = (measured("fit", b, name)["ms"] for b in ("jax", "tensorflow"))
        ratio = min(jax, tensorflow) / pack["ms"]
        print(
            f"{name:26}{pack['ms']:8.2f}{jax:8.2f}{tensorflow:8.2f}   {ratio:.2f} "
            f"({MODELS[name][2]}), {pack['at_once']:.0f}, {pack['compile']:.1f} s, "
            f"{pack['proof']:.0f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
