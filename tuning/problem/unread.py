"""Names of a problem file that nobody reads, though whoever wrote them meant them to be read."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

READ = (
    "grid",
    "space",
    "load_data",
    "build_model",
    "metric",
    "mode",
    "references",
    "folds",
    "class_weight",
    "sample_weight",
    "callbacks",
)
OF_FIT = (
    "batch_size",
    "compile_kwargs",
    "epochs",
    "fit_kwargs",
    "initial_epoch",
    "shuffle",
    "steps_per_epoch",
    "validation_batch_size",
    "validation_data",
    "validation_freq",
    "validation_split",
    "validation_steps",
)
"""Arguments of Keras' `fit`, which would be ignored whatever else in the file reads them."""


def unread_name(text: str) -> str:
    """The first name in a problem file that is meant for tuning and not read, in a few words.

    It is an argument of Keras' `fit`, a misspelt name of a problem, or a value that nothing in the
    file reads. Imports, private and upper-case names are the file's own, and so are functions and
    classes of other names.

    Parameters
    ----------
    text : str
        Python code that compiles.

    Returns
    -------
    str
        Such as ``tuning does not use 'metrics'; did you mean 'metric'?``; empty if there is none.
    """
    tree = ast.parse(text)
    read = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for name, is_value in _bound(tree.body):
        if name.startswith("_") or name.isupper() or name in READ:
            continue
        if name in OF_FIT:
            return f"tuning does not use {name!r}; {_instead(name)}"
        near = difflib.get_close_matches(name, READ, n=1, cutoff=0.8)
        if name not in read and (near or is_value):
            hint = f"; did you mean {near[0]!r}?" if near else ", nor does anything in the file"
            return f"tuning does not use {name!r}{hint}"
    return ""


def kind_of_name(text: str, name: str) -> str:
    """``function`` or ``value``, as a problem file gives a name to; empty if it does not."""
    kinds = dict(_bound(ast.parse(text).body))
    return ("value" if kinds[name] else "function") if name in kinds else ""


def _bound(body: list[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """The names that statements give to functions, classes and values, and whether to a value."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name, False
        elif isinstance(statement, ast.Assign):
            yield from ((each.id, True) for each in statement.targets if isinstance(each, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement.value is not None
        for inner in ("body", "orelse", "finalbody"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _bound(getattr(statement, inner, []))
        for handler in getattr(statement, "handlers", []):
            yield from _bound(handler.body)


def _instead(name: str) -> str:
    if name in ("batch_size", "epochs"):
        return f"did you mean an axis of the grid, {name!r}?"
    return f"a value of the file's own may be called {name.upper()}"
