"""Keep a worker from growing with every model it has trained."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import time
from typing import Any

TIDY_SECONDS = 60.0
"""CPU time of a worker from one tidying to the next, of which it takes about 1 %: 0.1 to 0.2 s, and
0.4 to 0.7 s to trace again what most programs have in common. Small programs leave 0.3 MB each."""

_last_tidied = 0.0  # CPU seconds of this process


def keep_for_good() -> None:
    """Freeze imported objects out of garbage collection."""
    gc.collect()
    gc.freeze()


def forget_models() -> None:
    """Free what Keras and its backend keep of the models built so far.

    `keras.utils.clear_session` does not suffice on TensorFlow: each function traced with a custom
    gradient in it, as Keras' train step is, leaves an entry in TensorFlow's global registry of
    gradients, which holds on to the graph and the model for ever (tensorflow issue 61791): 5 MB a
    trial of a small network. No function that is still alive looks those entries up again once its
    own gradient was built, which happens while it is traced.
    """
    import keras

    keras.utils.clear_session(free_memory=False)
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import ops

        registry: dict[str, Any] = getattr(ops.gradient_registry, "_registry", {})
        for name in [name for name in registry if name.startswith("CustomGradient-")]:
            del registry[name]
    gc.collect()


def tidy() -> None:
    """Free what the programs trained so far have left, if it was last done a while ago.

    A worker calls it after every task. What is left are cycles of objects that hold arrays, JAX's
    traces of all shapes it has seen, and memory that is free but that the C library does not give
    back to the system: 400 MB of it after packs of 48 members.
    """
    global _last_tidied  # noqa: PLW0603  of the process, as JAX's caches are
    if time.process_time() - _last_tidied < TIDY_SECONDS:
        return
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    with contextlib.suppress(AttributeError):  # other C libraries than GNU's have none
        ctypes.CDLL(None).malloc_trim(0)
    _last_tidied = time.process_time()
