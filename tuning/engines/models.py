"""Compiled models: a configuration's model as the problem builds it, with its random state set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tuning.compatibility import jax
from tuning.compatibility.keras import (
    new_session,
    noise_of_strength_zero_drawn,
    seeds_of_noise_apart,
)
from tuning.engines.foreign import step_for_another
from tuning.errors import TuningError, first_line
from tuning.problem.environment import settings_of
from tuning.problem.problem import Problem
from tuning.space.grid import Configuration

if TYPE_CHECKING:
    import keras


def compiled_model(
    problem: Problem, configuration: Configuration, seed: int, drawn: bool = False
) -> keras.Model:
    """The configuration's model as the problem builds it, its random state set by the seed.

    Names begin anew, and initial weights do not depend on dropout rates: what is the same in two
    configurations is the same in their models. Models built before are of no further use to Keras'
    bookkeeping, though they stay usable.

    Parameters
    ----------
    problem : Problem
    configuration : dict
    seed : int
    drawn : bool
        Whether layers draw noise of strength 0 too, which changes no number: for packs, where
        others of another strength have the same operations.

    Raises
    ------
    TuningError
        If `build_model` exits, or what it returns is not a Keras model, or not compiled.
    """
    new_session(settings_of(problem))
    where = f"build_model of problem {problem.name!r}"
    values = problem.space.values(configuration)
    return model_of(problem.build_model, values, seed, where, drawn)


def model_of(
    build_model: Callable[[Configuration], keras.Model],
    configuration: Configuration,
    seed: int,
    where: str,
    drawn: bool = False,
) -> keras.Model:
    """The compiled model that a function builds, as `compiled_model` does, in this Keras session.

    Parameters
    ----------
    where : str
        What errors call the function.
    """
    import keras

    keras.utils.set_random_seed(seed)
    drawing = noise_of_strength_zero_drawn() if drawn else contextlib.nullcontext()
    with seeds_of_noise_apart(seed), drawing, compiled_fast():
        try:
            model = build_model(configuration)
        except SystemExit as error:  # or it would end the worker
            raise TuningError(f"{where} exits: {first_line(error)}") from error
    if not isinstance(model, keras.Model):
        raise TuningError(f"{where} has to return a Keras model, not {type(model).__name__}")
    if not model.compiled or model.loss is None:
        raise TuningError(f"{where} has to return a compiled model: call model.compile(loss=…)")
    if fault := step_for_another(model):
        raise TuningError(fault)
    return model


@contextlib.contextmanager
def compiled_fast() -> Iterator[None]:
    """Turn off JAX's optimizations for a while, for functions that run only once.

    It took 0.3 s for every shape of a kernel to compile how initial weights are drawn.
    """
    import keras

    if keras.backend.backend() != "jax":
        yield
        return
    with jax.compiled_fast():
        yield
