"""A trial again in plain Keras: its model as it began, and the lines that train it.

What a trial is beside Keras' own training are two things: how the random state is set while its
model is built, and the order of the rows in each epoch. `initial_model` gives the first,
`tuning.engines.batches.row_order` the second.
"""

from __future__ import annotations

import contextlib
import functools
import random
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.compatibility.keras import names_and_seeds_apart
from tuning.engines.models import model_of
from tuning.space.grid import Configuration
from tuning.space.labels import text_of
from tuning.trial import Trial

if TYPE_CHECKING:
    import keras

LINES = """\
import keras
import tuning
{imports}
{begin}model = tuning.initial_model({build_model}, config, seed)
n = len(keras.tree.flatten(data["train"])[0])
{weights}

def batches():
    for epoch in range({epochs}):
        order = tuning.row_order(seed, epoch, n)
        for i in range(0, n, {batch_size}):
            rows = order[i : i + {batch_size}]
            yield keras.tree.map_structure(lambda array: array[rows], {train})


history = model.fit(
    batches(),
    steps_per_epoch=-(-n // {batch_size}),
    epochs={epochs},
    validation_data=data["validation"],
    validation_batch_size={batch_size},{callbacks}
)
"""
WEIGHTS = """\
x, y = data["train"]
train = x, y, {weights}
"""
BEGIN = "data, config, seed = {load_data}(), {config}, {seed}\n"
BEGIN_OF_CONFIGURATION = "config, seed = {config}, {seed}\ndata = {load_data}(config)\n"
TEST = """\
test = dict(zip(("x", "y", "sample_weight"), data["test"]))
scores = model.evaluate(**test, batch_size={batch_size}, return_dict=True)
"""


def initial_model(
    build_model: Callable[[Configuration], keras.Model], config: Configuration, seed: int
) -> keras.Model:
    """The compiled model of a configuration, exactly as its trial began.

    `keras.utils.set_random_seed` alone does not give the same model where a layer draws noise:
    seeds of noise are drawn apart from initial weights, so that these do not depend on the rates of
    dropout. Names of layers and random states (Python's, NumPy's, Keras', PyTorch's) are
    left in the calling process as they were.

    Parameters
    ----------
    build_model : callable
        Takes a configuration and returns a compiled Keras model.
    config : dict
    seed : int

    Raises
    ------
    TuningError
        If `build_model` exits, or what it returns is not a Keras model, or not compiled.
    """
    with caller_left_alone():
        return model_of(build_model, config, seed, "build_model")


@contextlib.contextmanager
def caller_left_alone() -> Iterator[None]:
    """Restore random states (Python's, NumPy's, PyTorch's, Keras') and Keras' names afterwards."""
    own, numpys = random.getstate(), np.random.get_state()
    torch: Any = sys.modules.get("torch")
    torchs = torch.get_rng_state() if torch else None
    try:
        with names_and_seeds_apart():
            yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)
        if torch:
            torch.set_rng_state(torchs)


def written(value: Any) -> str:
    """A value as Python code: a function or class by its name, which has to be known there."""
    if type(value) is dict:
        return "{" + ", ".join(f"{key!r}: {written(each)}" for key, each in value.items()) + "}"
    if type(value) in (list, tuple) or isinstance(value, functools.partial):
        return _written_parts(value)
    return text_of(value) if hasattr(value, "__qualname__") else repr(value)


def _written_parts(value: Any) -> str:
    if isinstance(value, functools.partial):
        given = [
            *map(written, value.args),
            *(f"{k}={written(v)}" for k, v in value.keywords.items()),
        ]
        return f"functools.partial({', '.join([written(value.func), *given])})"
    inner = ", ".join(map(written, value))
    if isinstance(value, list):
        return f"[{inner}]"
    return f"({inner},)" if len(value) == 1 else f"({inner})"


def lines_to_repeat(
    trial: Trial,
    *,
    config: str = "",
    imports: str = "",
    build_model: str = "build_model",
    load_data: str = "load_data",
    weights: str = "",
    callbacks: str = "",
    test: bool = True,
    of_configuration: bool = False,
) -> str:
    """The lines of plain Keras that train a trial again and give its scores.

    The scores of training and validation are the last values of ``history.history``, those of the
    test data are ``scores``. On the trial's backend, versions and number of threads they are those
    of `fit` to the last digit, and those of a pack to the rounding of sums where no noise is drawn.

    Parameters
    ----------
    trial : Trial
    config : str
        Its configuration as Python code, where it has labels in place of values.
    imports : str
        A line that makes `build_model` and `load_data` known, such as
        ``from my_problem import build_model, load_data``; nothing where they are.
    build_model, load_data : str
        What the two functions are called. The splits have to be tuples of NumPy arrays, or of
        dicts or lists of them.
    weights : str
        The weights of the training rows as Python code, of ``x``, ``y`` and ``config``, if they
        are not in the data.
    callbacks : str
        What makes its callbacks, such as ``callbacks(config)``; nothing where it has none.
    test : bool
        Whether the data has a test split.
    of_configuration : bool
        Whether `load_data` takes the configuration.
    """
    begin = BEGIN_OF_CONFIGURATION if of_configuration else BEGIN
    lines = LINES.replace("{begin}", begin) + (TEST if test else "")
    return lines.format(
        imports=imports,
        load_data=load_data,
        build_model=build_model,
        config=config or trial.configuration,
        seed=trial.seed,
        epochs=trial.epochs,
        batch_size=trial.batch_size,
        weights=WEIGHTS.format(weights=weights) if weights else "",
        train="train" if weights else 'data["train"]',
        callbacks=f"\n    callbacks={callbacks}," if callbacks else "",
    )
