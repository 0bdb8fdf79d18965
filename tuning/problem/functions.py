"""A problem made of functions, as a script or a notebook has them."""

from __future__ import annotations

import contextlib
import functools
import io
import math
import pickle
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any, NoReturn, TypeAlias

import cloudpickle
import numpy as np

from tuning.compatibility.keras import portable_settings
from tuning.errors import TuningError, first_line
from tuning.problem.data import checked_split, map_arrays, n_samples
from tuning.problem.fingerprint import fingerprint
from tuning.problem.problem import (
    DEFAULT_METRIC,
    Mode,
    Problem,
    callbacks_fault,
    check_problem,
    copies_of,
    takes_configuration,
)
from tuning.problem.reached import ROOT, Reached, is_installed, is_plain, is_users, reached
from tuning.space.given import space_of
from tuning.space.labels import Value
from tuning.space.space import Configuration, Space

LARGE = 2**20  # bytes of an array that the processes of a machine share, read-only
LOADER = "load_data"
CALLBACKS = "callbacks"

Sent: TypeAlias = (
    "tuple[Callable[[Configuration], Any], Mapping[str, Mapping[Value, Any]], Mapping[str, Any]]"
)
"""The function that builds models, the values of the space that are not their own label, and
further functions and values of the problem by name."""


def problem_of(
    build_model: Callable[[Configuration], Any],
    space: Space | Mapping[str, Any],
    data: Any,
    *,
    validation_split: float | None = None,
    folds: Any = None,
    groups: Any = None,
    metric: str = DEFAULT_METRIC,
    mode: Mode | None = None,
    references: Any = (),
    class_weight: Any = None,
    sample_weight: Any = None,
    callbacks: Any = None,
    name: str = "search",
) -> Problem:
    """A problem made of functions and data of this process.

    Workers get `build_model` by value, with all of the user's own code and values that it uses:
    from ``__main__``, a notebook or modules that are not installed. The data is loaded in this
    process alone, unless it depends on the configuration: then workers get its function as well.

    Parameters
    ----------
    build_model : callable
        Takes a configuration as a dict and returns a compiled Keras model: a function, a lambda, a
        method, a `functools.partial` or a callable object.
    space : Space, Grid or mapping
        The values of each hyperparameter, as `tuning.space.given.space_of` takes them.
    data : callable, mapping or tuple
        A function that returns the splits, as `Problem.load_data` does, or the splits themselves;
        or, with `validation_split`, ``(x, y)`` or ``(x, y, sample_weight)`` or a function that
        returns it. The function may take a configuration.
    validation_split : float, optional
        The share of the rows to validate with, above 0 and below 1. As in Keras' `fit` these are
        the last rows, before any shuffling.
    folds, groups
        How rows are cut for cross-validation, and the group of each: see
        `tuning.problem.folds.in_folds`.
    metric, mode, references, class_weight, sample_weight, callbacks
        Those of `Problem`.
    name : str
        What messages and the manifest call the problem.

    Raises
    ------
    TuningError
        If a part is not what a problem needs, or a function cannot be sent to another process.
    """
    where = f"problem {name!r}"
    space = space_of(space)
    loader = _loader(data, validation_split, folds, groups, where)
    if not callable(build_model):
        raise TuningError(
            f"{where}: build_model has to be a function, not {type(build_model).__name__}"
        )
    if fault := callbacks_fault(callbacks):
        raise TuningError(f"{where}: callbacks {fault}")
    loads = takes_configuration(loader)
    given = {"class_weight": class_weight, "sample_weight": sample_weight}
    weighing = {key: value for key, value in given.items() if value is not None}
    others = weighing | ({} if callbacks is None else {CALLBACKS: callbacks})
    named = _named(space) | weighing | _of_callbacks(callbacks) | ({LOADER: data} if loads else {})
    found = reached(build_model, named)
    sent = build_model, dict(space.named_values), others | ({LOADER: loader} if loads else {})
    known, pickled, buffers = _pickled(sent, found, f"{ROOT} or {LOADER}" if loads else ROOT)
    folds = list(folds) if isinstance(folds, Iterator) else folds
    functions = Functions(
        name,
        space.with_values({}),
        metric,
        mode,
        tuple(references) if isinstance(references, list | tuple) else references,
        fingerprint(found),
        portable_settings() if "keras" in sys.modules else None,
        tuple(path for path in map(str, sys.path) if not is_installed(path)),
        loads,
        folds if loads else None,
        known,
        pickled,
        buffers,
        {key: None if callable(value) else value for key, value in weighing.items()},
        callbacks is not None,
    )
    known_parts = functions, space, loader, build_model, metric, mode, references, folds
    return check_problem(Problem(*known_parts, callbacks=callbacks, **weighing), where)


def _of_callbacks(callbacks: Any) -> dict[str, Any]:
    """The callbacks, and of those in a list the values that they were made with, by name."""
    if callbacks is None:
        return {}
    found = {"callbacks": callbacks}
    for i, each in enumerate(() if callable(callbacks) else callbacks):
        own = f"callbacks[{i}].{type(each).__name__}"
        for name, value in vars(each).items():
            if not name.startswith("_") and name not in ("model", "params"):
                found[f"{own}.{name}"] = value
    return found


def _named(space: Space) -> dict[str, Any]:
    """The values that may have code in them, each by the name of its hyperparameter and label."""
    return {
        f"{name} {label}": value
        for name, own in space.named_values.items()
        for label, value in own.items()
        if not is_plain(value)
    }


@dataclass(frozen=True)
class Functions:
    """A `build_model` pickled by value, with what else the workers need of its problem.

    Two are equal if they come of the same call of `problem_of`.

    Attributes
    ----------
    name, space, metric, mode, references, fingerprint
        Those of `Problem`; the space without the values that its labels stand for.
    settings : dict, optional
        Keras' settings in the process of the caller, if Keras was imported there.
    path : tuple of str
        Folders of the caller's in which modules are looked for that are imported late.
    loads : bool
        Whether the function that loads data takes a configuration, and is sent with the other.
    folds : object, optional
        How the data of a configuration is cut, in that case.
    known : bytes
        What Keras has to know before the rest is unpickled: the user's classes and functions that
        are registered with it, by their registered names, and all classes by their own.
    pickled : bytes
        See `Sent`.
    buffers : tuple of numpy.ndarray
        The bytes of large arrays, apart from the rest so that nobody copies them.
    weighing : dict
        The problem's ``class_weight`` or ``sample_weight``, if it has one; None for a function.
    has_callbacks : bool
        Whether there are callbacks in what is pickled.
    """

    name: str = field(compare=False)
    space: Space = field(compare=False)
    metric: str = field(compare=False)
    mode: Mode | None = field(compare=False)
    references: tuple[dict[str, Any], ...] = field(compare=False)
    fingerprint: dict[str, str] = field(compare=False)
    settings: dict[str, Any] | None = field(compare=False)
    path: tuple[str, ...] = field(compare=False)
    loads: bool = field(compare=False)
    folds: Any = field(compare=False)
    known: bytes = field(compare=False, repr=False)
    pickled: bytes = field(compare=False, repr=False)
    buffers: tuple[Any, ...] = field(compare=False, repr=False)
    weighing: dict[str, Any] = field(compare=False, default_factory=dict)
    has_callbacks: bool = field(default=False, compare=False)
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def source(self) -> str:
        """Nothing: no file has the problem."""
        return ""

    def problem(self) -> Problem:
        """The problem on a worker, whose functions are unpickled when a model is to be built."""
        weighing = {
            key: functools.partial(self._called, key) if value is None else value
            for key, value in self.weighing.items()
        }
        loader: Callable[..., Any] = self.load_data
        if not self.loads:
            loader = _stays_with_the_caller
        return Problem(
            self,
            self.space.with_values(_Values(self)),
            loader,
            self.build_model,
            self.metric,
            self.mode,
            self.references,
            self.folds,
            callbacks=self.callbacks if self.has_callbacks else None,
            **weighing,
        )

    def callbacks(self, configuration: Configuration) -> Any:
        """The callbacks of a training, of those that were pickled."""
        given = _unpickled(self)[2][CALLBACKS]
        return given(configuration) if callable(given) else copies_of(given)

    def build_model(self, configuration: Configuration) -> Any:
        """The model of a configuration, by the function that was pickled."""
        return _unpickled(self)[0](configuration)

    def load_data(self, configuration: Configuration) -> Any:
        """The data of a configuration, by the function that was pickled."""
        return self._called(LOADER, configuration)

    def _called(self, name: str, *arguments: Any) -> Any:
        """What a further function of the problem returns."""
        return _unpickled(self)[2][name](*arguments)


class _Values(Mapping[str, Mapping[Value, Any]]):
    """The values that labels stand for, unpickled when one is asked for."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def __getitem__(self, name: str) -> Mapping[Value, Any]:
        return _unpickled(self._functions)[1][name]

    def __iter__(self) -> Iterator[str]:
        return iter(_unpickled(self._functions)[1])

    def __len__(self) -> int:
        return len(_unpickled(self._functions)[1])


def _stays_with_the_caller() -> NoReturn:
    raise RuntimeError("the data is loaded in the process of the caller alone")


@functools.lru_cache(maxsize=4)
def _unpickled(functions: Functions) -> Sent:
    """What was sent to this process.

    To be called once Keras runs on the backend of the worker.
    """
    import keras

    sys.path.extend(path for path in functions.path if path not in sys.path)
    registered, classes = cloudpickle.loads(functions.known)
    for name, value in registered.items():
        package, separator, own = name.partition(">")
        if separator:
            keras.saving.register_keras_serializable(package, own)(value)
        else:
            keras.saving.get_custom_objects()[name] = value
    with keras.saving.custom_object_scope(classes):  # which a model in a closure may be made of
        sent: Sent = cloudpickle.loads(functions.pickled, buffers=functions.buffers)
    return sent


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles by value what `cloudpickle` does not, or takes too much of."""

    def __init__(self, file: Any, modules: Mapping[str, set[str]], **options: Any) -> None:
        super().__init__(file, protocol=5, **options)
        self._modules = modules

    def reducer_override(self, obj: Any) -> Any:
        """Pickle an object, and of a user's module only the parts that are used."""
        if isinstance(obj, ModuleType) and is_users(obj.__name__):
            used = self._modules.get(obj.__name__, {"*"})
            names = [name for name in vars(obj) if name in used or "*" in used]
            return ModuleType, (obj.__name__,), {
                name: vars(obj)[name] for name in names if name not in _OF_IMPORT
            }  # fmt: skip
        wrapped = getattr(obj, "__wrapped__", None)
        if isinstance(obj, _CACHED) and isinstance(wrapped, FunctionType):
            return _cached, (wrapped, obj.cache_parameters())
        return super().reducer_override(obj)


_CACHED = type(functools.lru_cache(_stays_with_the_caller))
_OF_IMPORT = ("__builtins__", "__cached__", "__loader__", "__spec__")


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """The function with an empty cache of its own."""
    return functools.lru_cache(**parameters)(function)


def _pickled(sent: Any, found: Reached, user: str) -> tuple[bytes, bytes, tuple[Any, ...]]:
    """The pickled functions with all that they reach, and apart the bytes of large arrays.

    Raises
    ------
    TuningError
        If something of it cannot be pickled, which it names.
    """
    buffers: list[pickle.PickleBuffer] = []

    def stays_in(buffer: pickle.PickleBuffer) -> bool:
        large = buffer.raw().nbytes >= LARGE
        if large:
            buffers.append(buffer)
        return not large

    classes = {kind.__name__: kind for kind in found.classes.values()}
    try:
        known = _dumps((_registered(found), classes), found)
        pickled = _dumps(sent, found, buffer_callback=stays_in)
    except Exception as error:  # of any type, as objects raise them
        raise TuningError(_why_not(found, user, error)) from error
    return known, pickled, tuple(np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers)


def _dumps(value: Any, found: Reached, **options: Any) -> bytes:
    with _by_value(), io.BytesIO() as file:
        _Pickler(file, found.modules, **options).dump(value)
        return file.getvalue()


@contextlib.contextmanager
def _by_value() -> Iterator[None]:
    """Pickle functions and classes of the user's modules by value, for a while."""
    before = cloudpickle.list_registry_pickle_by_value()
    modules = [
        module
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType)
        and name == module.__name__ not in (*before, "__main__")
        and is_users(name)
    ]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _registered(found: Reached) -> dict[str, Any]:
    """The user's classes and functions that Keras knows by a name, which files of models have."""
    if "keras" not in sys.modules:
        return {}
    import keras

    own = {id(each) for each in (*found.classes.values(), *found.functions.values())}
    known = keras.saving.get_custom_objects().items()
    return {name: value for name, value in known if id(value) in own}


def _why_not(found: Reached, user: str, error: Exception) -> str:
    """The sentence that names the value that cannot be sent to another process."""
    for name, value in found.values.items():
        try:
            _dumps(value, found)
        except Exception as own:
            kind = type(value)
            return (
                f"{user} uses {name!r}, of type {kind.__module__}.{kind.__qualname__}, which "
                f"cannot be sent to workers: make it inside {user} ({first_line(own, 80)})"
            )
    return f"{user} cannot be sent to workers: {first_line(error)}"


def _loader(
    data: Any, share: float | None, folds: Any, groups: Any, where: str
) -> Callable[[], Any]:
    """The function that returns the splits."""
    if folds is None and groups is not None:
        raise TuningError(f"{where}: groups are of folds: say how many folds there are")
    if folds is not None:
        if share is not None:
            raise TuningError(f"{where}: give folds or validation_split, not both")
        return _after(data, functools.partial(_for_folds, groups))
    if share is not None:
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not 0 < share < 1:
            raise TuningError(
                f"{where}: validation_split takes a number above 0 and below 1, not {share!r}"
            )
        if isinstance(data, Mapping):
            raise TuningError(
                f"{where}: its data has splits already, so leave out validation_split"
            )
        return _after(data, functools.partial(_split, share))
    if callable(data):
        return data  # type: ignore[no-any-return]
    if isinstance(data, Mapping):
        return lambda: data
    raise TuningError(
        f"{where}: data has to be a function, a dict of splits, or (x, y) with validation_split, "
        f"not {type(data).__name__}"
    )


def _after(data: Any, prepare: Callable[[Any], Any]) -> Callable[..., Any]:
    """A function that prepares the data, or what a function returns; of a configuration as that."""
    if callable(data) and takes_configuration(data):
        return functools.partial(_prepared_of, data, prepare)
    return functools.partial(_prepared, data, prepare)


def _prepared_of(data: Any, prepare: Callable[[Any], Any], configuration: Configuration) -> Any:
    return prepare(data(configuration))


def _prepared(data: Any, prepare: Callable[[Any], Any]) -> Any:
    return prepare(data() if callable(data) else data)


def _for_folds(groups: Any, given: Any) -> Any:
    """All rows, and the group of each where there are groups."""
    splits = dict(given) if isinstance(given, Mapping) else {"train": given}
    return splits if groups is None else splits | {"groups": groups}


def _split(share: float, given: Any) -> dict[str, Any]:
    """The rows to train with, and the last ones to validate with."""
    parts = checked_split(given, "the data")
    n = n_samples(parts[0])
    n_train = math.floor(n * (1 - share))
    if n_train == 0:
        raise TuningError(f"validation_split={share} leaves none of {n} rows to train with")
    return {
        "train": tuple(map_arrays(lambda array: array[:n_train], part) for part in parts),
        "validation": tuple(map_arrays(lambda array: array[n_train:], part) for part in parts),
    }
