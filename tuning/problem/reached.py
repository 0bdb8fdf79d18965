"""The user's helper functions, classes, values and modules that a function uses."""

from __future__ import annotations

import ast
import dis
import enum
import functools
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from tuning.compatibility.keras import layers_within

PLAIN = (type(None), bool, int, float, complex, str, bytes)
ROOT = "build_model"
LOADS = (  # of names from outside, in Python 3.11 and later
    "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF",
    "LOAD_FROM_DICT_OR_GLOBALS", "LOAD_FROM_DICT_OR_DEREF",
)  # fmt: skip
CONSTANTS = ("LOAD_CONST", "LOAD_SMALL_INT")
OF_CLASSES = (MemberDescriptorType, GetSetDescriptorType)


@dataclass
class Reached:
    """The things that a function uses, directly and through its helpers, by name.

    Attributes
    ----------
    functions, classes : dict
        The user's own: neither installed nor of the standard library.
    values : dict
        What globals, closures, defaults and attributes hold, down to what is no container and no
        object of the user's classes.
    modules : dict of str to set of str
        The attributes used of each of the user's modules; with ``*`` where it is used as a value.
    imported : dict of str to str
        The source of each of the user's modules that a function imports when it is called.
    """

    functions: dict[str, FunctionType] = field(default_factory=dict)
    classes: dict[str, type] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, set[str]] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)


def reached(build_model: Any, others: Mapping[str, Any] | None = None) -> Reached:
    """Find the things that a function, method, `functools.partial` or callable object uses.

    Parameters
    ----------
    build_model : callable
    others : mapping of str to value, optional
        Further values by name, such as functions that it gets in configurations.
    """
    walk = _Walk(getattr(build_model, "__module__", None) or type(build_model).__module__)
    walk.visit(ROOT, build_model)
    for name, value in (others or {}).items():
        walk.visit(name, value)
    return walk.found


def is_users(module: str | None) -> bool:
    """Whether a module, by name, is the user's own: neither installed nor Python's nor ours."""
    if module is None or module == "__main__":
        return True
    if module.partition(".")[0] in ("tuning", "builtins", *sys.builtin_module_names):
        return False
    loaded = sys.modules.get(module)
    if loaded is None:
        return True
    places = [getattr(loaded, "__file__", None), *getattr(loaded, "__path__", ())]
    known = [place for place in places if place]
    if not known:  # it was made by hand, or in an extension module
        package = module.rpartition(".")[0]
        return is_users(package) if package else getattr(loaded, "__spec__", None) is None
    return not any(map(is_installed, known))


@functools.cache
def is_installed(place: str) -> bool:
    """Whether a file or folder belongs to an installed package or to Python itself."""
    path = Path(place)
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    paths = sysconfig.get_paths()
    return any(path.is_relative_to(paths[name]) for name in ("stdlib", "platstdlib"))


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, None, or a container of such."""
    if type(value) in PLAIN:
        return True
    if type(value) in (list, tuple, set, frozenset):
        return all(map(is_plain, value))
    return type(value) is dict and all(is_plain(each) for item in value.items() for each in item)


class _Walk:
    """Goes from a function to all that it reaches, each object once."""

    def __init__(self, home: str) -> None:
        self.found = Reached()
        self._home = home
        self._seen: dict[int, Any] = {}  # which keeps them alive, or ids would come again

    def visit(self, name: str, value: Any) -> None:
        """Note a value, and go on to what it reaches."""
        if is_plain(value):
            self._note(self.found.values, name, value)
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, FunctionType):
            self._visit_function(name, value)
        elif isinstance(value, type):
            self._visit_class(name, value)
        elif isinstance(value, ModuleType):
            self._visit_module(value, [])
        elif parts := list(_parts(name, value)):
            if hasattr(value, "__wrapped__"):
                self._note(self.found.values, name, value)
            for part, each in parts:
                self.visit(part, each)
        elif isinstance(value, enum.Enum):
            self._note(self.found.values, name, str(value))
            self.visit(type(value).__qualname__, type(value))
        else:
            self._visit_object(name, value)

    def _visit_object(self, name: str, value: Any) -> None:
        kind = type(value)
        for layer in layers_within(value):
            if is_users(type(layer).__module__):
                self.visit(type(layer).__qualname__, type(layer))
        if not is_users(kind.__module__):
            self._note(self.found.values, name, value)
            return
        self.visit(kind.__qualname__, kind)
        if all(is_users(base.__module__) or _is_of_python(base) for base in kind.__mro__):
            for attribute, each in _attributes(value):
                self.visit(f"{name}.{attribute}", each)
        else:  # such as a layer, which holds much of Keras' own
            self._note(self.found.values, name, value)

    def _visit_function(self, name: str, function: FunctionType) -> None:
        if not is_users(function.__module__):
            self._note(self.found.values, name, function)
            return
        name = self._named(name, function)
        self._note(self.found.functions, name, function)
        closure: dict[str, Any] = {}
        for variable, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                closure[variable] = cell.cell_contents
            except ValueError:  # nothing is in it yet
                continue
        for variable, attributes in _loads(function.__code__):
            space = closure if variable in closure else function.__globals__
            if variable in space:
                self._follow(variable, space[variable], attributes)
        for default, value in _defaults(function):
            self.visit(f"{name}({default})", value)
        for module in _imports(function.__code__, function.__globals__):
            self._visit_import(module)

    def _follow(self, name: str, value: Any, attributes: list[str]) -> None:
        """Visit a name's value, or the attribute that is used of it if it is a module."""
        if isinstance(value, ModuleType):
            self._visit_module(value, attributes)
        else:
            self.visit(name, value)

    def _visit_module(self, module: ModuleType, attributes: list[str]) -> None:
        if not is_users(module.__name__):
            return
        used = self.found.modules.setdefault(module.__name__, set())
        if not attributes:
            if "*" not in used:
                used.add("*")
                for attribute, value in list(vars(module).items()):
                    if not attribute.startswith("__") and not isinstance(value, ModuleType):
                        self.visit(f"{module.__name__}.{attribute}", value)
        elif attributes[0] in vars(module):
            used.add(attributes[0])
            name = f"{module.__name__}.{attributes[0]}"
            self._follow(name, vars(module)[attributes[0]], attributes[1:])

    def _visit_class(self, name: str, kind: type) -> None:
        if not is_users(kind.__module__):
            self._note(self.found.values, name, kind)
            return
        name = self._named(name, kind)
        self._note(self.found.classes, name, kind)
        for base in kind.__bases__:
            if is_users(base.__module__):
                self.visit(base.__qualname__, base)
        if issubclass(kind, enum.Enum):
            members = {member.name: member.value for member in kind}
            self.visit(name, members)
            return
        for attribute, value in vars(kind).items():
            for function in _functions_of(value):
                self.visit(f"{name}.{attribute}", function)
            of_python = attribute.startswith("__") or attribute == "_abc_impl"
            if not (of_python or _functions_of(value) or isinstance(value, OF_CLASSES)):
                self.visit(f"{name}.{attribute}", value)

    def _visit_import(self, module: str) -> None:
        if module in self.found.imported or (source := _source(module)) is None:
            return
        self.found.imported[module] = source
        package = module.rpartition(".")[0]
        for imported in _imports_of_tree(ast.parse(source), module, package):
            self._visit_import(imported)

    def _named(self, name: str, value: Any) -> str:
        """A function or class by its own name, with its module unless that is the root's."""
        own = value.__qualname__.rpartition("<locals>.")[2]
        if name == ROOT or "<lambda>" in own:
            return name
        elsewhere = value.__module__ not in (self._home, "__main__", None)
        return f"{value.__module__}.{own}" if elsewhere else own

    def _note(self, names: dict[str, Any], name: str, value: Any) -> None:
        free, n = name, 1
        while free in names:
            if names[free] is value:
                return
            n += 1
            free = f"{name} ({n})"
        names[free] = value


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a container, a method or a wrapped function, each with its name."""
    if isinstance(value, MethodType):
        yield name, value.__func__
        yield "self", value.__self__
    elif isinstance(value, functools.partial):
        yield name, value.func
        yield from ((f"{name}({i})", each) for i, each in enumerate(value.args))
        yield from ((f"{name}({key})", each) for key, each in value.keywords.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"{name}[{i}]", each) for i, each in enumerate(value))
    elif isinstance(value, dict):
        yield from ((f"{name}[{key!r}]", each) for key, each in value.items())
    elif isinstance(wrapped := getattr(value, "__wrapped__", None), FunctionType):
        yield name, wrapped  # by functools.cache, which makes no Python function


def _is_of_python(kind: type) -> bool:
    """Whether a class is of Python's own, such as `abc.ABC`."""
    return kind.__module__.partition(".")[0] in sys.stdlib_module_names


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object, in its dict and in slots."""
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        for name, slot in vars(kind).items():
            if isinstance(slot, MemberDescriptorType) and hasattr(value, name):
                yield name, getattr(value, name)


def _functions_of(value: Any) -> list[Any]:
    """The functions in what a class holds under a name: a method, a property."""
    if isinstance(value, FunctionType):
        return [value]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if isinstance(value, property):
        return [each for each in (value.fget, value.fset, value.fdel) if each]
    return [value.func] if isinstance(value, functools.cached_property) else []


def _defaults(function: FunctionType) -> Iterator[tuple[str, Any]]:
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    yield from zip(names[len(names) - len(values) :], values, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def all_codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions and classes made in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from all_codes(constant)


def _loads(code: CodeType) -> Iterator[tuple[str, list[str]]]:
    """The names that code reads from outside, each with the attributes read of it at once."""
    for each in all_codes(code):
        instructions = list(dis.get_instructions(each))
        for i, instruction in enumerate(instructions):
            if instruction.opname in LOADS:
                attributes = []
                for following in instructions[i + 1 :]:
                    if following.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                        break
                    attributes.append(str(following.argval))
                yield str(instruction.argval), attributes


def _imports(code: CodeType, namespace: dict[str, Any]) -> Iterator[str]:
    """The modules that code imports when it runs, by their full names."""
    package = namespace.get("__package__") or ""
    for each in all_codes(code):
        constants: list[Any] = []
        for instruction in dis.get_instructions(each):
            if instruction.opname in CONSTANTS:
                constants.append(instruction.argval)
            elif instruction.opname == "IMPORT_NAME":
                level, names = constants[-2:]
                yield from _full_names(str(instruction.argval), level, names or (), package)


def _imports_of_tree(tree: ast.AST, module: str, package: str) -> Iterator[str]:
    """The modules that a module's source imports, anywhere in it, by their full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _full_names(alias.name, 0, (), "")
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            for base in dict.fromkeys((package, module)):  # it may be a package itself
                yield from _full_names(node.module or "", node.level, names, base)


def sources_of(text: str) -> dict[str, str]:
    """The user's own modules that a Python text imports, directly or not: their sources, by name.

    Nothing is imported to find them.
    """
    found: dict[str, str] = {}
    missing = list(_imports_of_tree(ast.parse(text), "", ""))
    while missing:
        module = missing.pop()
        if module not in found and (source := _source(module)) is not None:
            found[module] = source
            package = module.rpartition(".")[0]
            missing += _imports_of_tree(ast.parse(source), module, package)
    return found


def _full_names(module: str, level: int, names: tuple[str, ...], package: str) -> Iterator[str]:
    """A module and those of `names` that may be modules in it, as `import` looks for them."""
    if level:
        parts = package.split(".") if package else []
        parents = parts[: len(parts) - level + 1]
        module = ".".join([*parents, *([module] if module else [])])
    parts = module.split(".") if module else []
    yield from (".".join(parts[: i + 1]) for i in range(len(parts)))
    yield from (f"{module}.{name}" for name in names if module and name != "*")


def _source(module: str) -> str | None:
    """The source of one of the user's modules, found without importing anything."""
    path: Any = None
    spec = None
    for i, _ in enumerate(parts := module.split(".")):
        spec = PathFinder.find_spec(".".join(parts[: i + 1]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    ours = module.partition(".")[0] == "tuning"
    if ours or spec is None or not spec.origin or is_installed(spec.origin):
        return None
    try:
        source = Path(spec.origin).read_text(encoding="utf-8")
        ast.parse(source)
    except (OSError, ValueError, SyntaxError):
        return None
    return source
