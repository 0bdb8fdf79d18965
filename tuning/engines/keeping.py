"""Keeping."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Keep:
    """Keep."""

    metric: str
    mode: str
    n: int = 1
    optimizer: bool = False
    wanted: Mapping[Hashable, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    bars: Mapping[str, Sequence[tuple[float, int]]] = field(default_factory=dict)


def load_kept(file: Path, build: Any = None, about: Any = None) -> Any:
    raise NotImplementedError
