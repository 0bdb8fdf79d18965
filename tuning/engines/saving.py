"""A trained model as the bytes of a file: plain Keras where Keras can load it, else its weights."""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.compatibility.keras import build_state, fixed_rows, parts_of_users
from tuning.engines.batches import in_floatx
from tuning.engines.models import compiled_fast, compiled_model
from tuning.engines.repeat import initial_model
from tuning.engines.weights import Weights, values_of
from tuning.errors import TuningError, first_line
from tuning.problem.data import Data, map_arrays
from tuning.problem.problem import Problem
from tuning.trial import Trial

if TYPE_CHECKING:
    import keras


def saved(
    problem: Problem, data: Data, trial: Trial, weights: Weights, optimizer: bool
) -> tuple[bool, bytes, str]:
    """Whether a trained model is a plain Keras file, the bytes of its file, and why it is not.

    A ``.keras`` file if all in it is Keras' own or registered, and what Keras loads of it scores
    the same; else a ``.weights.h5`` file.
    """
    model = trained_model(problem, data, trial, weights, optimizer)
    with tempfile.TemporaryDirectory() as folder, _quiet(), compiled_fast():
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
            why, needs = foreign_parts(path)
            why = why or _told_apart(model, path, _rows(model, data, "validation", trial))
        except Exception as error:
            why, needs = _culprit(model) or first_line(error), ""
        if not why:
            return True, path.read_bytes(), needs
        path = Path(folder) / "model.weights.h5"
        model.save_weights(path)
        return False, path.read_bytes(), why


def trained_model(
    problem: Problem, data: Data, trial: Trial, weights: Weights, optimizer: bool = True
) -> keras.Model:
    """The trial's model with weights that training has led to.

    Parameters
    ----------
    problem : Problem
    data : dict
    trial : Trial
    weights : Weights
    optimizer : bool
        Whether its optimizer goes on where training ended; else it is new.

    Raises
    ------
    ValueError
        If the model that `build_model` makes has other variables.
    """
    model = compiled_model(problem, trial.configuration, trial.seed)
    build(model, data, trial)
    kept = model.optimizer.variables
    new = values_of(kept)
    _assign(model.trainable_variables, weights.trainable)
    _assign(kept, weights.optimizer)
    others, values = model.non_trainable_variables, list(weights.others)
    if len(others) != len(values):  # some layers drew noise of strength 0 in the pack
        others = [variable for variable in others if not _is_seed(variable.path)]
        named = zip(weights.paths, values, strict=True)
        values = [value for path, value in named if not _is_seed(path)]
    _assign(others, values)
    if not weights.finished:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    if not optimizer:
        _assign(kept, new)
    return model


def _rows(model: keras.Model, data: Data, split: str, trial: Trial) -> tuple[Any, ...]:
    """A first batch of a split."""
    rows = fixed_rows(model) or trial.batch_size
    batch: tuple[Any, ...] = map_arrays(lambda array: in_floatx(array[:rows]), data[split])
    return batch


def build(model: keras.Model, data: Data, trial: Trial) -> None:
    """Create all variables of the model of a trial, as before its training or its weights' loading.

    Parameters
    ----------
    model : keras.Model
    data : dict
        Of which the first rows are looked at.
    trial : Trial
    """
    _build(model, _rows(model, data, "train", trial))


def _build(model: keras.Model, batch: tuple[Any, ...]) -> None:
    try:
        build_state(model, batch)
    except Exception:  # of models that cannot be built without numbers
        model.test_on_batch(*batch)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.reset_metrics()


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    if [tuple(v.shape) for v in variables] != [np.shape(value) for value in values]:
        raise ValueError("build_model returned other variables than those that were trained")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _is_seed(path: str) -> bool:
    return path.endswith("seed_generator_state")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Keras' warnings about saving and loading, which `why` tells of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def foreign_parts(path: Path) -> tuple[str, str]:
    """The parts of a ``.keras`` file that a process with Keras alone does not know.

    Returns
    -------
    str
        The first that is not registered, so that it cannot be loaded; empty if there is none.
    str
        Those that are registered by the user's code, which has to be imported before.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    foreign = dict(_foreign(config))
    unknown = next((name for name, registered in foreign.items() if not registered), "")
    needs = ", ".join(foreign)
    return (
        f"{unknown} is not registered with keras.saving.register_keras_serializable"
        if unknown and unknown not in ("a lambda", "a Lambda layer")
        else unknown and f"it has {unknown}"
    ), (f"your code registers {needs}: import it before loading" if needs else "")


def _foreign(config: Any) -> Iterator[tuple[str, bool]]:
    """The names of classes and functions that are not Keras' own, and whether registered."""
    import keras

    if isinstance(config, dict) and isinstance(config.get("class_name"), str):
        name, module = config["class_name"], config.get("module")
        inner = config.get("config")
        if name == "__lambda__":
            yield "a lambda", False
        elif name == "Lambda" and module == "keras.layers":
            yield "a Lambda layer", False
        elif "module" in config and not str(module).startswith(("keras.", "keras")):
            shown = inner if name == "function" and isinstance(inner, str) else name
            registered = config.get("registered_name") or shown
            known = keras.saving.get_registered_object(str(registered)) is not None
            if not (module == "builtins" and _of_keras(str(shown))):
                yield str(shown), known
    values = config.values() if isinstance(config, dict) else config
    if isinstance(config, dict | list):
        for value in values:
            yield from _foreign(value)


def _of_keras(name: str) -> bool:
    """Whether Keras finds a function by its name alone."""
    import keras

    kinds = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
    return any(hasattr(getattr(keras, kind), name) for kind in kinds)


def _culprit(model: keras.Model) -> str:
    """The first part of a model that is not Keras' own, as why it cannot be saved."""
    own = next(parts_of_users(model), None)
    return f"{type(own).__name__} does not tell how it was made (get_config)" if own else ""


def _told_apart(model: keras.Model, path: Path, batch: tuple[Any, ...]) -> str:
    """Why a file is not all of a model; empty if what is loaded of it scores the same.

    The file holds what layers say of themselves, and not what was set behind their back.
    """
    import keras

    loaded = keras.saving.load_model(path)
    if not loaded.compiled:
        return f"{type(model).__name__} has a compile of its own"
    _build(loaded, batch)
    one, other = (
        values_of([each for each in own.variables if not _is_seed(each.path)])
        for own in (model, loaded)
    )
    same = all(map(functools.partial(np.array_equal, equal_nan=True), one, other))
    if same and _scoring(model, batch) == _scoring(loaded, batch):
        return ""
    return "a get_config of its parts leaves out what scores depend on, as that of Huber does"


def _scoring(model: keras.Model, batch: tuple[Any, ...]) -> Any:
    """A batch's scoring by a model, to be compared: on JAX its trace, which takes less time."""
    import keras

    if keras.backend.backend() != "jax":
        before = values_of(model.variables)
        scores = model.test_on_batch(*batch, return_dict=True)
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
        return scores
    from tuning.packing.trace import draws_noise, trace

    groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    state = [[variable.value for variable in group] for group in groups]
    traced, _ = trace(lambda state, batch: model.test_step(tuple(state), batch), state, batch)
    numbers = [(each.dtype.str, each.shape, each.tobytes()) for each in traced.numbers]
    seeds = [each for each in model.non_trainable_variables if _is_seed(each.path)]
    seeds = seeds if draws_noise(traced.body) else []  # Keras saves not every seed of a layer's
    return traced.key, numbers, [value.tolist() for value in values_of(seeds)]


def load_kept(path: Path) -> keras.Model:
    """The model of a ``.keras`` file, compiled."""
    import keras

    with _quiet():
        return keras.saving.load_model(path)


def load_weights(
    path: Path,
    build_model: Callable[[dict[str, Any]], keras.Model],
    configuration: dict[str, Any],
    rows: Callable[[], tuple[Any, ...]],
) -> keras.Model:
    """A model that is built, and takes its weights from a ``.weights.h5`` file.

    Parameters
    ----------
    path : Path
    build_model : callable
    configuration : dict
        Of its trial.
    rows : callable
        Gives a batch of x and y, for models that have no variables before they see data.

    Raises
    ------
    TuningError
        If the weights are not those of the model.
    """
    model = initial_model(build_model, configuration, seed=0)
    if not model.built:
        _build(model, rows())
    try:
        with _quiet():
            model.load_weights(path)
    except Exception as error:
        raise TuningError(
            f"{path} does not fit the model that build_model makes: {first_line(error)}"
        ) from error
    return model
