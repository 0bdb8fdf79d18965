"""The strategies by name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tuning.errors import TuningError, first_line
from tuning.samplers.protocol import Sampler
from tuning.space.space import Space

Kind = TypeVar("Kind", bound=type[Sampler])

_registered: dict[str, type[Sampler]] = {}


def register(name: str, title: str = "") -> Callable[[Kind], Kind]:
    """Make a sampler class a strategy that is found by its name.

    Every module of `tuning.samplers` is looked at; a class of one's own is registered by the module
    that has it, such as a problem's file.

    Parameters
    ----------
    name : str
        For the command line, `tuning.search` and the table's column ``strategy``.
    title : str
        For sentences and figures; the name unless told.

    Raises
    ------
    TuningError
        If the name is no identifier.

    Examples
    --------
    >>> @register("first")
    ... class FirstSampler(FixedSampler):
    ...     def __init__(self, space, seed, trials=10):
    ...         super().__init__(space, trials, seed)
    ...
    ...     def next_index(self, number):
    ...         return number
    """
    if not name.isidentifier():
        raise TuningError(f"{name!r} cannot name a strategy: take letters, digits and _")

    def registered(kind: Kind) -> Kind:
        kind.name, kind.title = name, title or name
        _registered[name] = kind
        return kind

    return registered


def strategies() -> dict[str, type[Sampler]]:
    """The registered sampler classes by name."""
    _look_at_own_modules()
    return dict(_registered)


def strategy(name: str) -> type[Sampler]:
    """The sampler class of a name.

    Raises
    ------
    TuningError
        If there is none; the nearest name is named.
    """
    known = strategies()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        raise TuningError(f"there is no strategy {name!r}: {meant}")
    return known[name]


def title_of(name: str) -> str:
    """The name of a strategy in sentences: its title, or its name if it is not registered."""
    known = strategies()
    return known[name].title if name in known else name


def gives_each_once(name: str) -> bool:
    """Whether a strategy is known to give no configuration twice."""
    known = strategies()
    return name in known and not known[name].learns


def samplers_of(
    settings: Mapping[str, Mapping[str, Any]], space: Space, seed: int
) -> dict[str, Sampler]:
    """The samplers of a search, by name.

    Parameters
    ----------
    settings : mapping
        The settings of each strategy, as the manifest has them.
    space : Space
    seed : int

    Raises
    ------
    TuningError
        For a strategy that there is not, or settings that it does not take.
    """
    samplers = {}
    for name, own in settings.items():
        kind = strategy(name)
        try:
            samplers[name] = kind.from_settings(space, seed, own)
        except TuningError:
            raise
        except Exception as error:
            raise TuningError(
                f"the strategy {name!r} cannot be made: {first_line(error)}"
            ) from error
    return samplers


@cache
def _look_at_own_modules() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"tuning.samplers.{module.name}")
