"""A configuration that notes which of its hyperparameters are read."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from tuning.space.labels import Value


class Recorded(dict[str, Value]):
    """A configuration that notes which of its axes are read.

    Attributes
    ----------
    read : set of str
    """

    def __init__(self, configuration: Mapping[str, Value]) -> None:
        super().__init__(configuration)
        self.read: set[str] = set()


def _noted(name: str, reads_one: bool) -> Any:
    """Wrap a dict method to record which keys are read."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def noted(self: Recorded, *arguments: Any) -> Any:
        self.read.update(arguments[:1] if reads_one else dict.keys(self))
        return method(self, *arguments)

    return noted


for _name in ("__getitem__", "__contains__", "get", "pop", "setdefault"):
    setattr(Recorded, _name, _noted(_name, reads_one=True))
for _name in (
    "__iter__", "__reversed__", "__eq__", "__ne__", "__or__", "__ror__", "__repr__",
    "keys", "values", "items", "copy", "popitem",
):  # fmt: skip
    setattr(Recorded, _name, _noted(_name, reads_one=False))
