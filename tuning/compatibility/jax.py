"""The parts of JAX's intermediate representation that we use. Tested with JAX 0.10."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}
"""Operations that do no more than their inner operations once gradients are taken, and where these
are among their parameters."""

LOOPS = {"scan": ("jaxpr",), "while": ("cond_jaxpr", "body_jaxpr"), "cond": ("branches",)}
"""Operations with inner operations that are rebuilt, and where these are."""

KERNELS_OF_TPUS = "jax.experimental.pallas.ops.tpu.splash_attention"


class _Later(ModuleType):
    """A module that is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


class _Package(ModuleType):
    """A package whose modules are imported when something of them is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(f"{self.__name__}.{name}")


@contextlib.contextmanager
def kernels_of_tpus_later() -> Iterator[None]:
    """Have JAX's attention kernels for TPUs imported when they are used.

    Keras imports them with itself, which takes a fifth of the CPU time of its import.
    """
    if KERNELS_OF_TPUS in sys.modules:
        yield
        return
    sys.modules[KERNELS_OF_TPUS] = _Package(KERNELS_OF_TPUS)
    try:
        yield
    finally:
        del sys.modules[KERNELS_OF_TPUS]


@functools.cache
def _context_of_fast_compiling() -> Any:
    import jax

    return jax.make_user_context(False)


@contextlib.contextmanager
def compiled_fast() -> Iterator[None]:
    """Turn off JAX's optimizations for a while.

    Optimized code may round otherwise: it multiplies and adds in one operation. By itself the
    option does not make JAX compile again what it has compiled with the other value, and numbers
    would depend on what the process did before. The context has JAX keep the two apart.
    """
    import jax

    option = "jax_disable_most_optimizations"
    before = jax.config.read(option)
    jax.config.update(option, True)
    try:
        with _context_of_fast_compiling()(True):
            yield
    finally:
        jax.config.update(option, before)


def parts(value: Any) -> tuple[Any, list[Any]] | None:
    """Operations and constants of an inner function; None of any other parameter."""
    from jax.extend import core

    if isinstance(value, core.ClosedJaxpr):
        return value.jaxpr, list(value.consts)
    return (value, []) if isinstance(value, core.Jaxpr) else None


def where_written(source: Any) -> str:
    """The name of the innermost function outside of JAX that made an operation, or nothing."""
    from jax._src import source_info_util

    frame = source_info_util.user_frame(source.traceback)
    return frame.function_name if frame else ""


def bind(primitive: Any, params: Mapping[str, Any], inputs: list[Any]) -> list[Any]:
    """The outputs of an operation."""
    outputs = primitive.bind(*inputs, **primitive.get_bind_params(dict(params)))
    return list(outputs) if primitive.multiple_results else [outputs]
