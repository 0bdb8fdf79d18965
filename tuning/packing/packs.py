"""Packs: the trials that one task trains, and how a search's trials are split into them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuning.packing.axes import Packing
from tuning.trial import Trial, batch_size, epochs

LARGEST_PACK = 64  # trajectories; what a dying worker can lose

# Seconds of training, as measured on a core of 105 GFLOP/s: of a row and of a batch, by themselves
# as Keras' `fit` trains them, and for each of the model's parameters where it is known.
ROW_SECONDS, STEP_SECONDS = 1e-5, 5e-4
PARAMETER_ROW_SECONDS, PARAMETER_STEP_SECONDS = 5.5e-11, 4e-10


@dataclass(frozen=True)
class Work:
    """The cost of training a configuration.

    Attributes
    ----------
    seconds : float
        A guess of which only the ratios count, to compare configurations by.
    epochs : int
    """

    seconds: float
    epochs: int


def work(configuration: Mapping[str, Any], n_rows: int, parameters: float = 0) -> Work:
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


@dataclass(frozen=True, eq=False)
class Pack:
    """Trials that one task trains.

    Attributes
    ----------
    trials : list of Trial
    work : Work
        Of its trajectories: shorter trainings are in the longer ones.
    deaths : int
        How often a worker has died of it, or with it.
    pauses : bool
        Whether its trainings may go on later, so that their states are to be kept at its end.
    program : hashable
        What packs have in common whose trials share a compiled program; None where none do.
    """

    trials: list[Trial]
    work: Work
    deaths: int = 0
    pauses: bool = False
    program: Hashable = None


@dataclass(frozen=True)
class Packer:
    """Splits trials into packs.

    Attributes
    ----------
    packing : Packing
        How configurations share programs.
    n_rows : int
        Of the training data.
    workers : int
        That train at once.
    """

    packing: Packing
    n_rows: int
    workers: int

    def split(self, trials: Iterable[Trial]) -> list[Pack]:
        """The trials in packs: whole programs while there are many, the last ones in parts.

        Every pack costs a start, but all workers shall end at about one time. So none is longer
        than the worker's share of what is left: guided self-scheduling, Polychronopoulos and Kuck,
        IEEE Transactions on Computers C-36 (1987).
        """
        if self.packing.reason:
            return [self.pack([trial]) for trial in trials]
        programs: dict[Hashable, dict[Hashable, list[Trial]]] = {}
        for trial in trials:
            trajectories = programs.setdefault(self.packing.program(trial.configuration), {})
            trajectories.setdefault(self.packing.trajectory_of(trial), []).append(trial)
        each = [list(trajectories.values()) for trajectories in programs.values()]
        whole = [(self._of(groups), groups) for groups in each]
        left = sum(program.work.seconds for program, _ in whole)
        packs = []
        for program, groups in sorted(whole, key=lambda each: -each[0].work.seconds):
            parts = math.ceil(round(program.work.seconds * self.workers / left, 6))
            parts = max(min(parts, len(groups)), math.ceil(len(groups) / LARGEST_PACK))
            if parts == 1:
                packs.append(program)
            else:
                cuts = [i * len(groups) // parts for i in range(parts + 1)]
                packs += [self._of(groups[start:end]) for start, end in itertools.pairwise(cuts)]
            left -= program.work.seconds
        return packs

    def split_job(self, trials: Sequence[Trial], parts: int, *, pauses: bool) -> list[Pack]:
        """A job's trials in packs: each program's by itself, and in as many parts as asked.

        Parameters
        ----------
        trials : sequence of Trial
            That a strategy wants trained together.
        parts : int
            Workers that may share the job.
        pauses : bool
            Whether its trainings may go on later.
        """
        programs: dict[Hashable, dict[Hashable, list[Trial]]] = {}
        for trial in trials:
            trajectories = programs.setdefault(self.program(trial.configuration), {})
            trajectories.setdefault(self.packing.trajectory_of(trial), []).append(trial)
        packs = []
        for program in programs.values():
            groups = list(program.values())
            most = 1 if self.packing.reason else LARGEST_PACK
            n = max(min(parts, len(groups)), math.ceil(len(groups) / most))
            cuts = [i * len(groups) // n for i in range(n + 1)]
            packs += [self._of(groups[start:end]) for start, end in itertools.pairwise(cuts)]
        return [replace(pack, pauses=pauses) for pack in packs]

    def program(self, configuration: Mapping[str, Any]) -> Hashable:
        """What configurations have in common that share a program; None if nothing does."""
        return None if self.packing.reason else self.packing.program(configuration)

    @property
    def lifted(self) -> frozenset[str]:
        """The hyperparameters of which configurations of one program may have any values."""
        return frozenset(name for name, kind in self.packing.kinds.items() if kind == "lifted")

    @property
    def free_epochs(self) -> bool:
        """Whether ``epochs`` says no more than how long to train."""
        return self.packing.kinds.get("epochs") == "fidelity"

    def epoch_seconds(self, configuration: Mapping[str, Any]) -> float:
        """A guess of what an epoch of the configuration takes, the same on every machine."""
        one = work(configuration, self.n_rows, self.packing.size(configuration))
        return one.seconds / one.epochs

    def pack(self, trials: list[Trial]) -> Pack:
        """These trials as one pack, whose work is that of its trajectories."""
        trajectories: dict[Hashable, list[Trial]] = {}
        for trial in trials:
            key = trial.key if self.packing.reason else self.packing.trajectory_of(trial)
            trajectories.setdefault(key, []).append(trial)
        return self._of(list(trajectories.values()))

    def _of(self, trajectories: list[list[Trial]]) -> Pack:
        """The trials of trajectories as one pack: the longest of each is its work."""
        seconds, epochs = 0.0, 0
        for trials in trajectories:
            longest = max(trials, key=lambda trial: trial.epochs)
            left = longest.epochs - longest.since
            seconds += left * self.epoch_seconds(longest.configuration)
            epochs += left
        program = self.program(trajectories[0][0].configuration)
        trials = [trial for own in trajectories for trial in own]
        return Pack(trials, Work(seconds, epochs), program=program)
