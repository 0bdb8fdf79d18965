"""Why training failed, as one line: where a user's code is for another backend, the remedy."""

from __future__ import annotations

import dis
import inspect
import itertools
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError, first_line, shortened

if TYPE_CHECKING:
    import keras

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
LIBRARIES = (*BACKENDS, "jaxlib", "keras", "numpy", "optree", "tuning")  # not the user's code
WIDTH = 80  # characters of the error itself, behind what is said of it


def reason(error: Exception) -> str:
    """The message of an error, as one line.

    If it was raised by a metric, loss or layer that calls another library than Keras runs on, the
    line names that function and the remedy.
    """
    import keras

    backend = keras.backend.backend()
    if isinstance(error, TuningError):
        return str(error)
    for each in _chain(error):
        frames = list(traceback.walk_tb(each.__traceback__))
        own = ((f, n) for f, n in reversed(frames) if _package_of(f) not in LIBRARIES)
        for frame, number in itertools.islice(own, 1):
            called = {_library(value) for value in _named_on(frame, number)} & set(BACKENDS)
            for other in sorted(called - {backend}):
                code = frame.f_code
                return (
                    f"{code.co_qualname} ({Path(code.co_filename).name}, line {number}) calls "
                    f"{BACKENDS[other]}, and Keras runs on {BACKENDS[backend]}: {remedy(other)}, "
                    f"or write it with keras.ops ({shortened(first_line(each), WIDTH)})"
                )
        if layer := _layer_for_tensorflow(each, [frame for frame, _ in frames]):
            return f"{layer} works on TensorFlow alone: {remedy('tensorflow')}"
    return first_line(error, 300)


def _layer_for_tensorflow(error: BaseException, frames: list[FrameType]) -> str:
    """The layer of Keras' own, such as a lookup, that failed for want of TensorFlow."""
    text = str(error)
    if isinstance(error, ImportError) and "requires TensorFlow" in text:
        return text.partition("Layer ")[2].partition(" ")[0] or "a layer"
    if type(error).__name__ != "TracerArrayConversionError":  # it reads what JAX only traces
        return ""
    kinds = (type(frame.f_locals.get("self")) for frame in frames)
    return next((kind.__name__ for kind in kinds if ".preprocessing." in kind.__module__), "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it: Keras raises new ones, without the user's frames."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def step_for_another(model: keras.Model) -> str:
    """The fault of a model's own step that takes other arguments than on this backend."""
    import keras

    backend = keras.backend.backend()
    takes = ("state", "data") if backend == "jax" else ("data",)
    for name in ("train_step", "test_step"):
        try:
            inspect.signature(getattr(model, name)).bind(*takes)
        except TypeError:
            where = f"{type(model).__name__}.{name}"
            other = "tensorflow" if backend == "jax" else "jax"
            return (
                f"{where} is not for {BACKENDS[backend]}, where Keras gives it "
                f"({', '.join(takes)}): {remedy(other)}"
            )
    return ""


def remedy(library: str) -> str:
    """The words that say how to run Keras on another backend."""
    trains = "" if library == "jax" else ", where each trial goes through Keras' fit"
    return f"add --backend {library}{trains}"


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _named_on(frame: FrameType, number: int) -> Iterator[Any]:
    """The objects that the names on a line of a frame's code refer to."""
    names = {**frame.f_globals, **frame.f_locals}
    for instruction in dis.get_instructions(frame.f_code):
        line = instruction.positions and instruction.positions.lineno
        if line == number and instruction.opname.startswith("LOAD_"):
            yield names.get(str(instruction.argval))


def _library(value: Any) -> str:
    """The library that a module, function, class or other object is of."""
    if isinstance(value, ModuleType):
        name = value.__name__
    else:
        name = getattr(value, "__module__", None) or type(value).__module__
    return str(name).partition(".")[0]
