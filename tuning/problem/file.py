"""A problem in a Python file: a built-in one, or a user's."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.resources
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.compatibility.keras import let_tensorflow_come_back
from tuning.errors import TuningError, first_line
from tuning.problem.problem import DEFAULT_METRIC, Problem, check_problem
from tuning.problem.unread import unread_name
from tuning.space.given import space_of

SPACES = ("grid", "space")
NEEDED = ("load_data", "build_model")


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
    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the code, blind to comments and layout."""
        code = ast.unparse(ast.parse(self.text))
        return {"code": hashlib.sha256(code.encode()).hexdigest()}

    @property
    def settings(self) -> None:
        """Nothing: Keras' settings are those that running the file left."""

    def problem(self) -> Problem:
        """The problem in the file, which is run once a process.

        Raises
        ------
        TuningError
            If the file does not import, or lacks a name that a problem needs.
        """
        return _run(self)


def load_problem(name_or_path: str) -> Problem:
    """The built-in problem of that name, or the one in a user's Python file.

    Raises
    ------
    TuningError
        If there is none, it does not import, or lacks a name that a problem needs.
    """
    return _find(name_or_path).problem()


def _find(name_or_path: str) -> ProblemFile:
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
def _run(file: ProblemFile) -> Problem:
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
    names = [next((name for name in SPACES if hasattr(module, name)), " or ".join(SPACES)), *NEEDED]
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise TuningError(
            f"{where} lacks {' and '.join(missing)}: a problem needs {', '.join(names)}"
        )
    given, loader, builder = (getattr(module, name) for name in names)
    try:
        space = space_of(given) if isinstance(given, Mapping) else given
    except TuningError as error:
        raise TuningError(f"{where}: {error}") from error
    problem = Problem(
        file,
        space,
        loader,
        builder,
        getattr(module, "metric", DEFAULT_METRIC),
        getattr(module, "mode", None),
        getattr(module, "references", ()),
        getattr(module, "folds", None),
        class_weight=getattr(module, "class_weight", None),
        sample_weight=getattr(module, "sample_weight", None),
        callbacks=_callbacks_of(module),
    )
    return check_problem(problem, where)


def _callbacks_of(module: types.ModuleType) -> Any:
    """The file's callbacks; what it imports by that name is a module of Keras."""
    found = getattr(module, "callbacks", None)
    return None if isinstance(found, types.ModuleType) else found


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
