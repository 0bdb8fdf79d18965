"""The candidates of a strategy that has a model: several of each of many programs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuning.samplers.drawing import Drawing
from tuning.samplers.protocol import Programs
from tuning.space.space import Space

PROGRAMS = 96  # in the pool
RENEWED = 4  # programs drawn anew for every job
PER_PROGRAM = 32  # candidates
ALONE = 256  # candidates where no configurations share programs: all are drawn anew for every job
TRIES = 3  # draws for each of these


@dataclass(eq=False)
class Candidates:
    """Configurations of one program that may be trained.

    Attributes
    ----------
    configurations : list of dict
    rows : array, shape (configurations, columns)
        As the model encodes them.
    epoch_seconds : float
        A guess of what an epoch of one takes.
    """

    configurations: list[dict[str, Any]]
    rows: np.ndarray
    epoch_seconds: float


class Pool:
    """Draws candidates of many programs, and keeps them until they are trained.

    Parameters
    ----------
    space : Space
    drawing : Drawing
    programs : Programs
    encode : callable
        Configurations as rows of numbers.
    key : callable
        What configurations have in common that are of the same training.
    """

    def __init__(
        self,
        space: Space,
        drawing: Drawing,
        programs: Programs,
        encode: Callable[[list[dict[str, Any]]], np.ndarray],
        key: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self._space = space
        self._drawing = drawing
        self._programs = programs
        self._encode = encode
        self._key = key
        self._of: dict[Hashable, Candidates] = {}

    def renew(self) -> None:
        """Draw candidates of a few programs more, or of all at first; the oldest go."""
        for _ in range(RENEWED if self._of else PROGRAMS):
            first = self._drawing.one(self._programs)
            program = self._programs.program(first)
            if program is None:
                self.fill(program, first)
                return
            if program not in self._of:
                self.fill(program, first)
        while len(self._of) > PROGRAMS:
            del self._of[next(iter(self._of))]

    def fill(
        self, program: Hashable, first: dict[str, Any], kept: list[dict[str, Any]] | None = None
    ) -> Candidates | None:
        """Draw candidates of a program, from one of its configurations, beside those kept.

        Returns
        -------
        Candidates, optional
            None if there are no new ones.
        """
        found = {self._key(configuration): configuration for configuration in kept or []}
        most = ALONE if program is None else PER_PROGRAM
        for _ in range(TRIES * (most - len(found))):
            drawn = self._drawing.like(first, self._programs)
            if drawn is not None and not self._drawing.knows(key := self._key(drawn)):
                found[key] = drawn
            if len(found) == most:
                break
        self._of.pop(program, None)
        if found:
            configurations = list(found.values())
            seconds = self._programs.epoch_seconds(configurations[0])
            self._of[program] = Candidates(configurations, self._encode(configurations), seconds)
        return self._of.get(program)

    def groups(self) -> list[tuple[Hashable, Candidates]]:
        """All candidates, by program."""
        return list(self._of.items())

    def take(self, program: Hashable, places: list[int]) -> list[dict[str, Any]]:
        """Take candidates of a program out of the pool, and draw others of it."""
        own = self._of[program]
        chosen = [own.configurations[place] for place in places]
        for configuration in chosen:
            self._drawing.note(self._key(configuration))
        rest = [each for i, each in enumerate(own.configurations) if i not in set(places)]
        if program is not None:
            self.fill(program, chosen[0], rest)
        return chosen
