"""The space of a search: hyperparameters by name, some of which may exist only beside others."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from random import Random
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from tuning.errors import TuningError, quoted
from tuning.space.labels import Value, cell_text, fresh, labelled, python_scalar, same
from tuning.space.parameters import Choice, Fixed, Float, Int, Parameter

Configuration: TypeAlias = dict[str, Any]
Own = TypeVar("Own", bound="Space")


class Space:
    """Hyperparameters by name; a configuration has a value of each that exists in it.

    A value may be anything. Where it is neither number, boolean nor text, a space has a *label* in
    its place, a readable name such as ``(64, 32)`` or ``relu``: in the configurations that it
    draws, in its parameters, in tables. `values` gives a configuration with the values themselves.

    Parameters
    ----------
    parameters : mapping of str to Parameter, list or value
        A list, tuple, range or array is a `Choice` of its values; any other value is the same in
        all configurations, as is one in `Fixed`.

    Raises
    ------
    TuningError
        For a space without parameters, a condition on one that does not stand before it, or on a
        value that it cannot have.

    Examples
    --------
    >>> space = Space({"layers": [1, 2], "second": Choice([8, 16]).when(layers=2), "epochs": 5})
    >>> space.draw(Random(3))
    {'layers': 1, 'epochs': 5}
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        if not isinstance(parameters, Mapping):
            raise TuningError(
                "a space takes a mapping of names to hyperparameters, not "
                f"{type(parameters).__name__}"
            )
        if not parameters:
            raise TuningError("a space needs at least one hyperparameter")
        self._parameters: dict[str, Parameter] = {}
        values: dict[str, dict[Value, Any]] = {}
        self._values: Mapping[str, Mapping[Value, Any]] = values
        for name, given in parameters.items():
            check_name(name)
            parameter, others = _in_labels(name, parameter_of(name, given))
            conditions = tuple(
                (other, tuple(self._condition(name, other, value) for value in wanted))
                for other, wanted in parameter.conditions
            )
            self._parameters[name] = replace_conditions(parameter, conditions)
            if others:
                values[name] = others

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The hyperparameters by name, in order, with labels for values; read only."""
        return MappingProxyType(self._parameters)

    @property
    def named_values(self) -> Mapping[str, Mapping[Value, Any]]:
        """Of each hyperparameter, by their labels, the values that are not their own label."""
        return self._values

    @cached_property
    def size(self) -> float:
        """The number of configurations; infinite where a parameter has any number of a range."""
        if any(parameter.values is None for parameter in self.parameters.values()):
            return math.inf
        return sum(self._sizes())

    def draw(self, random: Random, known: Mapping[str, Any] | None = None) -> Configuration:
        """A configuration, each value drawn uniformly on its parameter's scale.

        Parameters
        ----------
        random : Random
        known : mapping, optional
            Values that are not drawn, where they exist.
        """
        known = known or {}
        configuration: Configuration = {}
        for name, parameter in self.parameters.items():
            if parameter.exists(configuration):
                drawn = name not in known
                configuration[name] = parameter.draw(random) if drawn else known[name]
        return configuration

    def place(self, configuration: Mapping[str, Any]) -> int | None:
        """The configuration's place in the grid; None where the space is no grid."""
        return None

    def values(self, configuration: Mapping[str, Any]) -> Configuration:
        """The configuration with the values themselves in place of labels."""
        given = configuration if isinstance(configuration, dict) else dict(configuration)
        found = {}
        for name, own in self.named_values.items():
            label = dict.get(given, name)  # of a subclass that notes what is read, too
            if isinstance(label, str) and label in own:
                found[name] = fresh(own[label])
        return {**given, **found} if found else given

    def labels(self, configuration: Mapping[str, Any]) -> Configuration:
        """The configuration with labels in place of values, checked, in the order of the space.

        Raises
        ------
        TuningError
            For a hyperparameter that is unknown or missing, that does not exist beside the others,
            or has another value than it may have.
        """
        if not isinstance(configuration, Mapping):
            raise TuningError(f"a configuration is a dict, not {quoted(configuration)}")
        for name in configuration:
            if name not in self.parameters:
                raise TuningError(
                    f"unknown hyperparameter {name!r}: the space has {', '.join(self.parameters)}"
                )
        found: Configuration = {}
        for name, parameter in self.parameters.items():
            if not parameter.exists(found):
                if name in configuration:
                    raise TuningError(
                        f"hyperparameter {name!r} does not exist beside the others of the "
                        f"configuration: it is there {conditions_text(parameter)}"
                    )
            elif name in configuration:
                found[name] = self.label(name, configuration[name])
            else:
                raise TuningError(f"the configuration lacks hyperparameter {name!r}")
        return found

    def label(self, name: str, value: Any) -> Value:
        """The label of a hyperparameter's value; one that is a label already stays as it is.

        Raises
        ------
        TuningError
            If the hyperparameter has no such value.
        """
        parameter = self.parameters[name]
        value = python_scalar(value)
        if isinstance(parameter, Float) and type(value) is int:
            value = float(value)
        for label, own in self.named_values.get(name, {}).items():
            if same(own, value):
                return label
        if not parameter.has(value):
            raise TuningError(
                f"{quoted(value)} is not a value of hyperparameter {name!r}: it has "
                f"{parameter.range_text()}"
            )
        return value  # type: ignore[no-any-return]

    def read(self, cells: Mapping[str, str]) -> Configuration:
        """The configuration of a row of a table, from the cells' text.

        Raises
        ------
        ValueError
            If a cell is not empty where its hyperparameter does not exist, or has another value
            than that may have.
        """
        found: Configuration = {}
        for name, parameter in self.parameters.items():
            text = cells[name]
            if not parameter.exists(found):
                if text:
                    raise ValueError(name)
            else:
                found[name] = self._of_cell(name, parameter, text)
        return found

    def all(self) -> Iterator[Configuration]:
        """Every configuration of a space that has finitely many, as nested loops would visit it."""
        names = list(self.parameters)

        def behind(place: int, before: Configuration) -> Iterator[Configuration]:
            if place == len(names):
                yield dict(before)
                return
            name = names[place]
            parameter = self.parameters[name]
            if not parameter.exists(before):
                yield from behind(place + 1, before)
                return
            assert parameter.values is not None, "the space has no end"
            for value in parameter.values:
                yield from behind(place + 1, {**before, name: value})

        return behind(0, {})

    def describe(self) -> dict[str, dict[str, Any]]:
        """The parameters by name as JSON has them, with labels for values; see `described`."""
        return {name: _description(each) for name, each in self.parameters.items()}

    def with_values(self: Own, values: Mapping[str, Mapping[Value, Any]]) -> Own:
        """The same space, with the values that its labels stand for.

        Parameters
        ----------
        values : mapping of str to mapping of label to value
            As `named_values` has them; it may load them when it is first looked into.
        """
        found = copy.copy(self)
        found._values = values
        return found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space) or type(other) is not type(self):
            return NotImplemented
        return self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @cached_property
    def _text(self) -> str:
        return json.dumps(self.describe())

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}: {each.range_text()}" for name, each in self.parameters.items())
        return f"{type(self).__name__}({inner})"

    def _of_cell(self, name: str, parameter: Parameter, text: str) -> Value:
        value: Value
        if isinstance(parameter, Float | Int):
            value = float(text) if isinstance(parameter, Float) else int(text)
            if not parameter.has(value) or cell_text(value) != text:
                raise ValueError(name)
            return value
        return self._cells[name][text] if text in self._cells[name] else _refuse(name)

    @cached_property
    def _cells(self) -> dict[str, dict[str, Value]]:
        """The labels of each hyperparameter that has a list of them, by the text of their cells."""
        return {
            name: {cell_text(label): label for label in parameter.values or ()}
            for name, parameter in self.parameters.items()
            if isinstance(parameter, Choice | Fixed)
        }

    def _condition(self, name: str, other: str, value: Any) -> Value:
        """The label of a value that another hyperparameter has to have for this one to exist."""
        if other not in self._parameters:
            raise TuningError(
                f"{name!r} depends on {other!r}, which has to stand before it in the space"
            )
        try:
            return self.label(other, value)
        except TuningError:
            raise TuningError(
                f"{name!r} is to exist where {other!r} is {quoted(value)}, which is no value of "
                f"it: it has {self.parameters[other].range_text()}"
            ) from None

    def _sizes(self) -> Iterator[int]:
        """The number of configurations for each choice of those that others depend on."""
        asked = {other for each in self.parameters.values() for other, _ in each.conditions}
        names = list(self.parameters)

        def behind(place: int, before: Configuration, n: int) -> Iterator[int]:
            if place == len(names):
                yield n
                return
            name = names[place]
            parameter = self.parameters[name]
            if not parameter.exists(before):
                yield from behind(place + 1, before, n)
            elif name in asked:
                for value in parameter.values or ():
                    yield from behind(place + 1, {**before, name: value}, n)
            else:
                yield from behind(place + 1, before, n * len(parameter.values or ()))

        return behind(0, {}, 1)


def parameter_of(name: str, given: Any) -> Parameter:
    """What a space is given of a hyperparameter, as one.

    Raises
    ------
    TuningError
        For a list that is empty, or has a value twice.
    """
    if isinstance(given, Parameter):
        return given
    if not is_list(given):
        return Fixed(given)
    values = tuple(given)
    labelled(f"hyperparameter {name!r}", values)
    return Choice(values)


def is_list(given: Any) -> bool:
    """Whether something is a list of values: a list, tuple, range or array, and no text or dict."""
    kinds = (str, bytes, Mapping, Parameter, type)
    return isinstance(given, Iterable) and not isinstance(given, kinds)


def replace_conditions(parameter: Parameter, conditions: Any) -> Parameter:
    """The same parameter, existing under other conditions."""
    if isinstance(parameter, Choice):
        return Choice(parameter.options, conditions=conditions)
    return replace(parameter, conditions=conditions)


def conditions_text(parameter: Parameter) -> str:
    """Where a parameter exists, in words: ``where layers is 2 or 3``."""
    each = [
        f"where {name} is {' or '.join(map(str, values))}" for name, values in parameter.conditions
    ]
    return " and ".join(each)


def check_name(name: object) -> None:
    """Refuse what cannot name a hyperparameter.

    Raises
    ------
    TuningError
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise TuningError(f"{quoted(name)} cannot name an axis: a name is printable text")


def _in_labels(name: str, parameter: Parameter) -> tuple[Parameter, dict[Value, Any]]:
    """A parameter with labels for values, and the values that these stand for."""
    if not isinstance(parameter, Choice | Fixed):
        return parameter, {}
    labels, others = labelled(f"hyperparameter {name!r}", parameter.values, none="None")
    if isinstance(parameter, Choice):
        return Choice(labels, conditions=parameter.conditions), others
    return Fixed(labels[0], conditions=parameter.conditions), others


def described(description: Mapping[str, Any]) -> Space:
    """The space that `Space.describe` described, without the values that its labels stand for.

    Raises
    ------
    TuningError
        If it is not the description of a space.
    """
    parameters: dict[str, Parameter] = {}
    for name, about in description.items():
        try:
            parameters[name] = _described(about)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, TuningError):
                raise
            raise TuningError(f"{quoted(about)} describes no hyperparameter {name!r}") from error
    return Space(parameters)


def _description(parameter: Parameter) -> dict[str, Any]:
    """A parameter as JSON."""
    about: dict[str, Any] = {"kind": type(parameter).__name__}
    if isinstance(parameter, Float | Int):
        about |= {"low": parameter.low, "high": parameter.high, "log": parameter.log}
    if isinstance(parameter, Int):
        about["step"] = parameter.step
    if isinstance(parameter, Choice | Fixed):
        about["values"] = list(parameter.values)
    if parameter.conditions:
        about["when"] = {name: list(values) for name, values in parameter.conditions}
    return about


def _described(about: Mapping[str, Any]) -> Parameter:
    parameter: Parameter
    match about["kind"]:
        case "Float":
            parameter = Float(about["low"], about["high"], about["log"])
        case "Int":
            parameter = Int(about["low"], about["high"], about["log"], about["step"])
        case "Choice":
            parameter = Choice(about["values"])
        case "Fixed":
            (value,) = about["values"]
            parameter = Fixed(value)
        case other:
            raise ValueError(other)
    conditions = tuple((name, tuple(values)) for name, values in about.get("when", {}).items())
    return replace_conditions(parameter, conditions)


def _refuse(name: str) -> Value:
    raise ValueError(name)
