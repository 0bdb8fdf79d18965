"""Why training failed, as one line: where a user's code is for another backend, the remedy."""

from __future__ import annotations

import dis
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from tuning.errors import first_line, shortened

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
LIBRARIES = (*BACKENDS, "jaxlib", "keras", "numpy", "optree", "tuning")  # not the user's code
WIDTH = 120  # characters of the error itself, behind what is said of it


def reason(error: Exception) -> str:
    """What an error says, as one line.

    If it was raised by a metric, loss or layer that calls another library than Keras runs on, the
    line names that function and the remedy.
    """
    import keras

    backend = keras.backend.backend()
    line = first_line(error)
    if isinstance(error, ImportError) and "requires TensorFlow" in line:  # Keras of StringLookup
        layer = line.partition("Layer ")[2].partition(" ")[0] or "a layer of its"
        return f"{layer} works on TensorFlow alone: {remedy('tensorflow')}"
    for each in _chain(error):
        for frame, number in reversed(list(traceback.walk_tb(each.__traceback__))):
            if frame.f_globals.get("__name__", "").partition(".")[0] in LIBRARIES:
                continue
            called = {_library(value) for value in _named_on(frame, number)} & set(BACKENDS)
            if others := sorted(called - {backend}):
                code = frame.f_code
                return (
                    f"{code.co_qualname} ({Path(code.co_filename).name}, line {number}) calls "
                    f"{BACKENDS[others[0]]}, and Keras runs on {BACKENDS[backend]}: "
                    f"{remedy(others[0])}, or write it with keras.ops "
                    f"({shortened(first_line(each), WIDTH)})"
                )
            break
    return line


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it: Keras raises new ones, without the user's frames."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def remedy(library: str) -> str:
    """How to have Keras run on another library."""
    trains = "" if library == "jax" else ", where each trial goes through Keras' fit"
    return f"add --backend {library}{trains}"


def _named_on(frame: FrameType, number: int) -> Iterator[Any]:
    """What the names on a line of a frame's code stand for."""
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
