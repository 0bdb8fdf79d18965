"""A fingerprint of functions: a digest for each thing they are made of, and what differs."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import linecache
from collections.abc import Mapping
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from tuning.problem.reached import Reached, all_codes, is_plain

WIDTH = 40  # characters of a value that is written down as it is
TOTAL = "code"
READ_BY_DATA = "axes of the data"
OTHERS = ("model", "data", "step", READ_BY_DATA)
NUMBERS = (type(None), bool, int, float)


def fingerprint(reached: Reached) -> dict[str, str]:
    """A digest of each function, class, value and module, and of all of them as ``code``.

    It is the same in every process, and blind to comments and layout. Short numbers stand in it
    as they are; texts do not, which may be secret.

    Returns
    -------
    dict of str to str
        By what it is of, such as ``function build_model`` or ``value WIDTH``.
    """
    texts = {f"function {name}": code_text(each) for name, each in reached.functions.items()}
    texts |= {f"class {name}": _class_text(each) for name, each in reached.classes.items()}
    texts |= {f"module {name}": _layout_free(each) for name, each in reached.imported.items()}
    found = {name: _digest(text) for name, text in texts.items()}
    for name, value in reached.values.items():
        text = value_text(value)
        shown = _is_of_numbers(value) and len(text) <= WIDTH
        found[f"value {name}"] = text if shown else _digest(text)
    return {TOTAL: _digest(repr(sorted(found.items()))), **found}


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The differences in code between two fingerprints, each as a phrase.

    Parameters
    ----------
    old, new : mapping of str to str
        As manifests hold them: of a run, and of the problem to be trained in it.
    """
    if old.get(TOTAL) == new.get(TOTAL):
        return []
    phrases = []
    for name in dict.fromkeys([*old, *new]):
        if name in (TOTAL, *OTHERS) or old.get(name) == new.get(name):
            continue
        kind, _, what = name.partition(" ")
        if name not in new or name not in old:
            phrases.append(f"{kind} {what} is only in the {'run' if name in old else 'problem'}")
        elif kind == "value" and max(len(old[name]), len(new[name])) <= WIDTH:
            phrases.append(f"its {what} is {old[name]}, not {new[name]}")
        else:
            phrases.append(f"its {kind} {what} has changed")
    named = [each for each in phrases if " is only in " not in each]
    return named or phrases or ["the problem's code has changed"]


def code_text(function: FunctionType) -> str:
    """A function's source without comments and layout; its bytecode where there is no source."""
    own = _bytecode(function.__code__)
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    return _definitions(text).get((code.co_firstlineno, code.co_name, own)) or own


@functools.lru_cache(maxsize=16)
def _definitions(text: str) -> dict[tuple[int, str, str], str]:
    """The functions that a source defines, by their first line, name and bytecode.

    The bytecode shows that a function was made from this source, and not from one before a change.
    """
    try:
        tree = ast.parse(text)
        code = compile(text, "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    nodes: dict[tuple[int, str], list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            nodes.setdefault((first, node.name), []).append(node)
        elif isinstance(node, ast.Lambda):
            nodes.setdefault((node.lineno, "<lambda>"), []).append(node)
    found = {}
    for each in all_codes(code):
        key = each.co_firstlineno, each.co_name
        if len(nodes.get(key, ())) == 1:  # or it is not known which of the lambdas on a line
            found[*key, _bytecode(each)] = ast.unparse(nodes[key][0])
    return found


def _bytecode(code: CodeType) -> str:
    """The bytecode and constants of a code object, without file names and line numbers."""
    return repr((
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags,
        code.co_code, [_constant(each) for each in code.co_consts], code.co_names,
        code.co_varnames, code.co_freevars, code.co_cellvars, code.co_exceptiontable,
    ))  # fmt: skip


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return _bytecode(value)
    if isinstance(value, tuple | frozenset):
        parts = [_constant(each) for each in value]
        return repr(sorted(parts) if isinstance(value, frozenset) else parts)
    return f"{type(value).__name__} {value!r}"


def _class_text(kind: type) -> str:
    return repr([(base.__module__, base.__qualname__) for base in kind.__bases__])


def _layout_free(source: str) -> str:
    return ast.unparse(ast.parse(source))


def value_text(value: Any) -> str:
    """A text that two values have in common if they are equal, as far as it can be told.

    Of arrays it is a digest of their numbers, of a Keras model or layer one of its weights, and of
    other objects no more than their type.
    """
    if is_plain(value):
        return _plain_text(value)
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):  # a function or class of a library
        return f"{getattr(value, '__module__', '')}.{name}"
    with contextlib.suppress(Exception):  # of any type, as objects raise them
        if callable(weights := getattr(value, "get_weights", None)):
            return f"{_type_name(value)} {[value_text(each) for each in weights()]}"
        if hasattr(value, "__array__"):
            return _array_text(np.asarray(value))
    return _type_name(value)


def _array_text(array: np.ndarray) -> str:
    if array.dtype.hasobject:
        return str(array.dtype)
    digest = hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).data)
    return f"{array.dtype} {array.shape} {digest.hexdigest()}"


def _plain_text(value: Any) -> str:
    if isinstance(value, dict):
        items = (f"{_plain_text(key)}: {_plain_text(each)}" for key, each in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_plain_text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_plain_text, value)))}}}"
    return repr(value)


def _is_of_numbers(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_of_numbers, value))
    return type(value) in NUMBERS


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
