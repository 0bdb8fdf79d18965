"""Keep a worker from growing with every model it has trained."""

from __future__ import annotations

import gc
import sys
from typing import Any


def keep_for_good() -> None:
    """Call what is imported by now permanent, so that later collections need not look at it."""
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
