"""A problem: a grid, the data, and a function that builds a compiled Keras model."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.resources
import math
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tuning.compatibility.keras import let_tensorflow_come_back
from tuning.errors import TuningError, first_line, quoted
from tuning.problem.data import NEEDED_SPLITS, SPLITS, Data, checked_split, splits_of
from tuning.problem.unread import unread_name
from tuning.space.grid import Configuration, Grid, Value
from tuning.trial import KERAS_EPOCHS, batch_size, epochs

if TYPE_CHECKING:
    import keras

Mode: TypeAlias = Literal["max", "min"]

NEEDED = ("grid", "load_data", "build_model")
DEFAULT_METRIC = "val_accuracy"

# Seconds of training, as measured on a core of 105 GFLOP/s: of a row and of a batch, by themselves
# as Keras' `fit` trains them, and for each of the model's parameters where it is known.
ROW_SECONDS, STEP_SECONDS = 1e-5, 5e-4
PARAMETER_ROW_SECONDS, PARAMETER_STEP_SECONDS = 5.5e-11, 4e-10


@dataclass(frozen=True)
class ProblemFile:
    """The Python file a problem is written in, carried whole so that any worker can run it.

    Attributes
    ----------
    name : str
        The file's name without its ending.
    source : str
        What `load_problem` finds it by: a built-in problem's name, or a path.
    path, text : str
        Where the file stands, and what is in it.
    """

    name: str
    source: str
    path: str
    text: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the code, blind to comments and layout."""
        code = ast.unparse(ast.parse(self.text))
        return hashlib.sha256(code.encode()).hexdigest()


@dataclass(frozen=True)
class Problem:
    """What is searched, as its file says it.

    It is pickled as its file's text, and loaded from it once a process.

    Attributes
    ----------
    file : ProblemFile
    grid : Grid
        Axes called ``batch_size`` and ``epochs`` steer training, and default to Keras' 32 and 1;
        the others reach only `build_model`.
    load_data : callable
        Returns ``{"train": (x, y), "validation": (x, y), "test": (x, y)}``, of which the test split
        may be missing; sample weights may follow y. Each is what NumPy makes an array of, or a
        dict, list or tuple of such, whose first dimension counts the samples; or a split is a
        `keras.utils.PyDataset` or a `tf.data.Dataset`, whose batches are drawn once.
    build_model : callable
        Takes a configuration as a dict and returns a compiled Keras model.
    metric : str
        The validation metric that chooses, as Keras' logs name it.
    mode : {"max", "min"}, optional
        Whether more or less of it is better; None until the models' metrics have told, if the file
        does not say it.
    references : tuple of dict
        Results published elsewhere, shown beside ours: ``strategy``, ``trials``, ``epochs``, the
        metric's validation and test values, ``cpu_seconds``.
    """

    file: ProblemFile
    grid: Grid
    load_data: Callable[[], Mapping[str, Any]]
    build_model: Callable[[Configuration], keras.Model]
    metric: str = DEFAULT_METRIC
    mode: Mode | None = None
    references: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The name of the file it is in."""
        return self.file.name

    def __reduce__(self) -> tuple[Callable[[ProblemFile], Problem], tuple[ProblemFile]]:
        return _run_problem_file, (self.file,)


def load_problem(name_or_path: str) -> Problem:
    """The built-in problem of that name, or the one in a user's Python file.

    Raises
    ------
    TuningError
        If there is none, it does not import, or lacks a name that a problem needs.
    """
    return _run_problem_file(_find_problem_file(name_or_path))


def epochs_of(grid: Grid) -> list[int]:
    """The epochs of each value of a grid's axis, or Keras' 1 alone where it has none."""
    return [epochs({"epochs": value}) for value in grid.axes.get("epochs", (KERAS_EPOCHS,))]


@dataclass(frozen=True)
class Work:
    """What training a configuration takes.

    Attributes
    ----------
    seconds : float
        A guess of which only the ratios count, to compare configurations by.
    epochs : int
    """

    seconds: float
    epochs: int


def work(configuration: Mapping[str, Value], n_rows: int, parameters: float = 0) -> Work:
    """The work of training the configuration.

    Parameters
    ----------
    configuration : mapping
    n_rows : int
        Of the training data.
    parameters : float
        That its model trains; 0 if that is not known.
    """
    n_epochs = epochs(configuration)
    steps = math.ceil(n_rows / batch_size(configuration))
    if parameters:
        each = parameters * (n_rows * PARAMETER_ROW_SECONDS + steps * PARAMETER_STEP_SECONDS)
    else:
        each = n_rows * ROW_SECONDS + steps * STEP_SECONDS
    return Work(n_epochs * each, n_epochs)


def load_data(problem: Problem) -> Data:
    """The problem's data, checked.

    Raises
    ------
    TuningError
        If loading fails, a split is missing or is not what `checked_split` takes.
    """
    where = f"load_data() of problem {problem.name!r}"
    try:
        loaded = problem.load_data()
    except (Exception, SystemExit) as error:
        raise TuningError(f"{where} failed: {first_line(error)}") from error
    if not isinstance(loaded, Mapping) or not set(NEEDED_SPLITS) <= set(loaded) <= set(SPLITS):
        found = sorted(map(str, loaded)) if isinstance(loaded, Mapping) else type(loaded).__name__
        raise TuningError(
            f"{where} has to return a dict of train and validation, and of test if there is such "
            f"data, not {found}"
        )
    return {split: checked_split(loaded[split], f"{where}: {split}") for split in splits_of(loaded)}


def _find_problem_file(name_or_path: str) -> ProblemFile:
    built_in = importlib.resources.files("tuning.problems")
    names = sorted(
        entry.name.removesuffix(".py")
        for entry in built_in.iterdir()
        if entry.name.endswith(".py") and not entry.name.startswith("_")
    )
    path = Path(name_or_path).absolute()
    source = str(path)
    if name_or_path in names:
        path = Path(str(built_in / f"{name_or_path}.py"))
        source = name_or_path
    elif path.suffix != ".py":
        raise TuningError(
            f"there is no problem {name_or_path!r}: name one of {', '.join(names)}, "
            "or a Python file (.py)"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TuningError(f"cannot read the problem file {name_or_path}: {why}") from error
    return ProblemFile(path.stem, source, str(path), text)


@functools.lru_cache(maxsize=4)
def _run_problem_file(file: ProblemFile) -> Problem:
    """Run the file's text as a module of its own and take the problem's names from it."""
    where = f"problem file {Path(file.path).name}"
    folder = str(Path(file.path).parent)
    if folder not in sys.path:  # so that it can import what stands beside it
        sys.path.append(folder)
    digest = hashlib.sha256(file.text.encode()).hexdigest()[:8]
    module = types.ModuleType(f"tuning_problem_{file.name}_{digest}")
    module.__file__ = file.path
    sys.modules[module.__name__] = module
    try:
        _execute(file, module)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise TuningError(f"{where} does not import: {first_line(error)}") from error
    if unread := unread_name(file.text):
        raise TuningError(f"{where}: {unread}")
    missing = [name for name in NEEDED if not hasattr(module, name)]
    if missing:
        raise TuningError(
            f"{where} lacks {' and '.join(missing)}: a problem needs {', '.join(NEEDED)}"
        )
    grid, loader, builder = (getattr(module, name) for name in NEEDED)
    if not isinstance(grid, Grid):
        raise TuningError(f"{where}: grid has to be a tuning.Grid, not {type(grid).__name__}")
    for name, function in (("load_data", loader), ("build_model", builder)):
        if not callable(function):
            raise TuningError(
                f"{where}: {name} has to be a function, not {type(function).__name__}"
            )
    for axis in ("batch_size", "epochs"):
        for value in grid.axes.get(axis, ()):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise TuningError(
                    f"{where}: axis {axis!r} takes whole numbers from 1, not {value!r}"
                )
    metric = getattr(module, "metric", DEFAULT_METRIC)
    if not isinstance(metric, str) or not metric.startswith("val_"):
        raise TuningError(
            f"{where}: metric has to name a validation metric (val_…), not {quoted(metric)}"
        )
    mode: Any = getattr(module, "mode", None)
    if mode not in ("max", "min", None):
        raise TuningError(f"{where}: mode has to be 'max' or 'min', not {quoted(mode)}")
    references = _references(getattr(module, "references", ()), where)
    return Problem(file, grid, loader, builder, metric, mode, references)


def _execute(file: ProblemFile, module: types.ModuleType) -> None:
    """Run the file's text; again with TensorFlow, if a layer needs it that prepares the data."""
    code = compile(file.text, file.path, "exec")
    try:
        exec(code, module.__dict__)
    except ImportError as error:
        if "requires TensorFlow" not in str(error):
            raise
        let_tensorflow_come_back()
        exec(code, module.__dict__)


def _references(references: Any, where: str) -> tuple[dict[str, Any], ...]:
    if not isinstance(references, list | tuple):
        raise TuningError(f"{where}: references has to be a list, not {type(references).__name__}")
    for reference in references:
        if fault := reference_fault(reference):
            raise TuningError(f"{where}: references: {fault}")
    return tuple(references)


def reference_fault(reference: Any) -> str:
    """What is wrong with a result published elsewhere, in a few words; nothing if it is right."""
    if not isinstance(reference, Mapping):
        return f"{quoted(reference)} is not a dict"
    for name, value in reference.items():
        if name == "strategy":
            right, wanted = isinstance(value, str), "text"
        else:
            right = isinstance(value, int | float) and math.isfinite(value)
            wanted = "a finite number"
        if not right:
            return f"{name!r} is {quoted(value)}, not {wanted}"
    return ""
