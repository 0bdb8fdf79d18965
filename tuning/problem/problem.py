"""A problem: a space, the data, and a function that builds a compiled Keras model."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np

from tuning.errors import TuningError, first_line, quoted
from tuning.problem.data import NEEDED_SPLITS, SPLITS, Data, checked_split, splits_of
from tuning.problem.folds import in_folds
from tuning.problem.weighing import WEIGHINGS, check_weighed, weighing_fault
from tuning.space.given import as_grid
from tuning.space.grid import Configuration, Grid
from tuning.space.parameters import Int
from tuning.space.space import Space
from tuning.trial import KERAS_EPOCHS, epochs

if TYPE_CHECKING:
    import keras

Mode: TypeAlias = Literal["max", "min"]

DEFAULT_METRIC = "val_accuracy"
GROUPS = "groups"


class Code(Protocol):
    """The code a problem is made of, in the form in which it travels to the workers."""

    @property
    def name(self) -> str:
        """The problem's name in messages and manifests."""
        ...

    @property
    def source(self) -> str:
        """The name or path for `load_problem`; empty if the problem was made of functions."""
        ...

    @property
    def fingerprint(self) -> dict[str, str]:
        """A digest of all the ``code``, and of what it is made of by name where that is known."""
        ...

    @property
    def settings(self) -> dict[str, Any] | None:
        """Keras' settings, if they travel with the code."""
        ...

    def problem(self) -> Problem:
        """The problem, as a worker makes it of the code."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Problem:
    """A problem: the space, the data, the models, and the score that chooses.

    It is pickled as its code alone, without the data.

    Attributes
    ----------
    code : Code
        The file or the functions it is made of.
    space : Space
        Hyperparameters called ``batch_size`` and ``epochs`` steer training, and default to Keras'
        32 and 1, and so do ``class_weight`` and ``sample_weight``; the others reach only
        `build_model`.
    load_data : callable
        Returns ``{"train": (x, y), "validation": (x, y), "test": (x, y)}``, of which ``test`` may
        be missing; sample weights may follow y. Each is what NumPy makes an array of, or a dict,
        list or tuple of such, whose first dimension counts the samples; or a split is a
        `keras.utils.PyDataset` or a `tf.data.Dataset`, whose batches are drawn once. With a
        parameter that has no default, it is given a configuration: see `tuning.problem.variants`.
    build_model : callable
        Takes a configuration as a dict and returns a compiled Keras model.
    metric : str
        The validation metric that chooses, as Keras' logs name it.
    mode : {"max", "min"}, optional
        Whether more or less of it is better; None until the models' metrics have told, if the
        problem does not say it.
    references : tuple of dict
        Results published elsewhere, shown beside ours: ``strategy``, ``trials``, ``epochs``, the
        metric's validation and test values, ``cpu_seconds``.
    folds : int, splitter or iterable of (array, array), optional
        How rows are cut for cross-validation: see `tuning.problem.folds.in_folds`. `load_data`
        then needs no ``validation``, and may return ``groups``, one for each row.
    class_weight : dict, "balanced" or callable, optional
        The weight of each class in training, as in Keras' `fit`: see
        `tuning.problem.weighing.row_weights`. A function takes a configuration and returns one of
        these, or None. An axis of this name has the same effect, with such values for each trial.
    sample_weight : "balanced" or callable, optional
        A function of (x, y) of the training rows that returns their weights. An axis of this name
        has the same effect. Weights that are known are the third of a split.
    callbacks : list of keras.callbacks.Callback or callable, optional
        Of every training: a list, of which each has copies, or a function of the configuration
        that returns a list.
    """

    code: Code
    space: Space
    load_data: Callable[..., Any]
    build_model: Callable[[Configuration], keras.Model]
    metric: str = DEFAULT_METRIC
    mode: Mode | None = None
    references: tuple[dict[str, Any], ...] = ()
    folds: Any = None
    class_weight: Any = None
    sample_weight: Any = None
    callbacks: Any = None

    @property
    def weighs(self) -> bool:
        """Whether it has training rows weighed, other than by weights in the data."""
        return any(
            getattr(self, name) is not None or name in self.space.parameters for name in WEIGHINGS
        )

    @property
    def grid(self) -> Grid:
        """The space, which has to be a grid.

        Raises
        ------
        TuningError
            If it is none.
        """
        return as_grid(self.space)

    @property
    def name(self) -> str:
        """The name of its code."""
        return self.code.name

    @property
    def source(self) -> str:
        """The name or path for `load_problem`; empty if the problem was made of functions."""
        return self.code.source

    @property
    def fingerprint(self) -> dict[str, str]:
        """A digest of all the ``code``, and of what it is made of by name where that is known."""
        return self.code.fingerprint

    def __reduce__(self) -> tuple[Callable[[], Problem], tuple[()]]:
        return self.code.problem, ()


def check_problem(problem: Problem, where: str) -> Problem:
    """The problem, if its parts are what a problem needs.

    Parameters
    ----------
    problem : Problem
    where : str
        What the error begins with, such as ``problem file mine.py``.

    Raises
    ------
    TuningError
    """
    space, metric, references = problem.space, problem.metric, problem.references
    if not isinstance(space, Space):
        raise TuningError(
            f"{where}: its space has to be a tuning.Space, a tuning.Grid or a dict, not "
            f"{type(space).__name__}"
        )
    for name in ("load_data", "build_model"):
        if not callable(function := getattr(problem, name)):
            raise TuningError(
                f"{where}: {name} has to be a function, not {type(function).__name__}"
            )
    if (n := _needed(problem.load_data)) > 1:
        raise TuningError(f"{where}: load_data takes a configuration or nothing, not {n} arguments")
    if fault := axes_fault(space) or weighing_fault(problem):
        raise TuningError(f"{where}: {fault}")
    if not isinstance(metric, str) or not metric.startswith("val_"):
        raise TuningError(
            f"{where}: metric has to name a validation metric (val_…), not {quoted(metric)}"
        )
    if problem.mode not in ("max", "min", None):
        raise TuningError(f"{where}: mode has to be 'max' or 'min', not {quoted(problem.mode)}")
    if fault := callbacks_fault(problem.callbacks):
        raise TuningError(f"{where}: callbacks {fault}")
    if not isinstance(references, list | tuple):
        raise TuningError(f"{where}: references has to be a list, not {type(references).__name__}")
    for reference in references:
        if fault := reference_fault(reference):
            raise TuningError(f"{where}: references: {fault}")
    return dataclasses.replace(problem, references=tuple(references))


def axes_fault(space: Space) -> str:
    """The fault of the axes that steer training, in a few words; empty if there is none."""
    for axis in ("batch_size", "epochs"):
        if (parameter := space.parameters.get(axis)) is None:
            continue
        if parameter.values is None:
            return f"axis {axis!r} takes whole numbers from 1, not {parameter.range_text()}"
        values = parameter.values[:1] if isinstance(parameter, Int) else parameter.values
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                return f"axis {axis!r} takes whole numbers from 1, not {value!r}"
    return ""


def copies_of(callbacks: Sequence[Any]) -> list[Any]:
    """Callbacks of their own for a training, without the model that they may have seen before."""
    found = []
    for each in callbacks:
        own = copy.copy(each)
        own._model = None
        found.append(copy.deepcopy(own))
    return found


def callbacks_fault(callbacks: Any) -> str:
    """The fault of a problem's callbacks, in a few words; empty if there is none."""
    if callbacks is None or (callable(callbacks) and not isinstance(callbacks, type)):
        return ""
    if not isinstance(callbacks, list | tuple):
        kind = type(callbacks).__name__
        return f"has to be a list of Keras callbacks, or a function that returns one, not {kind}"
    for each in callbacks:
        bases = {(base.__module__.partition(".")[0], base.__name__) for base in type(each).__mro__}
        if ("keras", "Callback") not in bases:
            return f"has to be a list of Keras callbacks, but has a {type(each).__name__}"
    return ""


def reference_fault(reference: Any) -> str:
    """The fault of a result published elsewhere, in a few words; empty if there is none."""
    if not isinstance(reference, Mapping):
        return f"{quoted(reference)} is not a dict"
    for name, value in reference.items():
        if name in ("strategy", "beats"):
            right, wanted = isinstance(value, str), "text"
        else:
            right = isinstance(value, int | float) and math.isfinite(value)
            wanted = "a finite number"
        if not right:
            return f"{name!r} is {quoted(value)}, not {wanted}"
    return ""


def epochs_of(space: Space) -> list[int]:
    """The epochs of each value of the hyperparameter, or Keras' 1 alone where there is none."""
    parameter = space.parameters.get("epochs")
    values = (KERAS_EPOCHS,) if parameter is None else parameter.values or ()
    return [epochs({"epochs": value}) for value in values]


def takes_configuration(load_data: Callable[..., Any]) -> bool:
    """Whether the function needs an argument: the configuration whose data it returns."""
    return _needed(load_data) == 1


def _needed(function: Callable[..., Any]) -> int:
    """How many positional arguments a function needs."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some that are not written in Python
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is each.empty for each in parameters)


def load_data(problem: Problem, *configuration: Configuration) -> Data:
    """The problem's data, checked.

    Parameters
    ----------
    problem : Problem
    *configuration : dict
        The one that `Problem.load_data` takes, if it takes one, with the values themselves.

    Raises
    ------
    TuningError
        If loading fails, a split is missing or is not what `checked_split` takes.
    """
    where = f"load_data() of problem {problem.name!r}"
    try:
        loaded = problem.load_data(*configuration)
    except (Exception, SystemExit) as error:
        raise TuningError(f"{where} failed: {first_line(error)}") from error
    has_folds = problem.folds is not None
    needed = set(NEEDED_SPLITS[:1] if has_folds else NEEDED_SPLITS)
    known = {*SPLITS, GROUPS} if has_folds else {*SPLITS}
    if not isinstance(loaded, Mapping) or not needed <= set(loaded) <= known:
        found = sorted(map(str, loaded)) if isinstance(loaded, Mapping) else type(loaded).__name__
        raise TuningError(
            f"{where} has to return a dict of train and validation, and test if there is one, "
            f"not {found}"
        )
    data = {split: checked_split(loaded[split], f"{where}: {split}") for split in splits_of(loaded)}
    check_weighed(problem, data, where)
    if not has_folds:
        return data
    groups = loaded.get(GROUPS)
    return in_folds(
        data, problem.folds, None if groups is None else np.asarray(groups), where=where
    )
