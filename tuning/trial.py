"""A trial and its outcome: the two values that travel through the whole program."""

from __future__ import annotations

import datetime
import json
import os
import socket
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["ok", "stopped", "diverged", "failed", "timeout"]

SEEDS = 2**32  # which Keras and NumPy take
KERAS_BATCH_SIZE = 32
KERAS_EPOCHS = 1


def now() -> str:
    """The time in UTC to the second, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def worker_name() -> str:
    """This process among all that train: host and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"


@dataclass(frozen=True)
class Trial:
    """One configuration to be trained with one seed.

    Attributes
    ----------
    number : int
        Its place in the order in which its strategy asked, from 0.
    configuration : dict
        The value of each hyperparameter that exists, by name; a label in place of one that is no
        number, boolean, text or None: see `tuning.Space`.
    seed : int
        Of the initial weights, the order of the rows and noise.
    epochs : int
        How long it trains. If its configuration has more ``epochs``, it is stopped before its end:
        see `meant`.
    index : int, optional
        The configuration's place in the grid; None where the space is no grid.
    fold : int, optional
        Which fold validates; None where the data has one split only.
    since : int
        Epochs of the same training that its strategy has had trained before, to go on from there;
        the outcome is the same as without.
    """

    number: int
    configuration: dict[str, Any]
    seed: int
    epochs: int = KERAS_EPOCHS
    index: int | None = None
    fold: int | None = None
    since: int = 0

    @property
    def key(self) -> Hashable:
        """What trials have in common that are the same training, whoever asked for them."""
        return self.point, self.seed, self.epochs, self.fold

    @property
    def point(self) -> int | str:
        """What trials of the same configuration have in common."""
        if self.index is not None:
            return self.index
        return point_of(self.configuration)

    @property
    def meant(self) -> int:
        """The epochs that its configuration is meant to be trained."""
        return max(self.epochs, epochs(self.configuration))

    @property
    def batch_size(self) -> int:
        """Rows of a batch in training."""
        return batch_size(self.configuration)


@dataclass(frozen=True)
class Outcome:
    """What training a trial came to.

    Attributes
    ----------
    trial : Trial
    status : {"ok", "stopped", "diverged", "failed", "timeout"}
        ``stopped``: training ended well, but before the epochs that its configuration has, or that
        were asked for; ``diverged``: the loss became NaN or infinite, and training ended there;
        ``failed``: building or training raised, or ended the worker; ``timeout``: it took longer
        than a trial may.
    engine, backend : str
        What trained it.
    metrics : dict of str to float
        ``train_``, ``val_`` and ``test_`` of each of the model's metrics; of one that was
        ``stopped`` without ``test_``; empty of others than these and ``ok``.
    curve : list of dict of str to float
        Keras' logs of each epoch trained.
    seconds : float
        Wall time for which it held its CPU. Through `fit`, from building the model to its test
        score; in a pack, its share of that, without the epochs that a shorter trial pays for.
    epoch_seconds : list of float
        Wall time of each epoch, validation included, and of a pack this trial's share; the first
        holds compilation.
    error : str
        One line, unless ``ok`` or ``stopped``.
    worker : str
        The process that trained it.
    finished_at : str
        UTC, ISO 8601.
    """

    trial: Trial
    status: Status
    engine: str
    backend: str
    metrics: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    epoch_seconds: list[float] = field(default_factory=list)
    error: str = ""
    worker: str = field(default_factory=worker_name)
    finished_at: str = field(default_factory=now)


@dataclass(frozen=True, eq=False)
class Paused:
    """A training that was stopped so that it can go on.

    Attributes
    ----------
    epochs : int
        Trained so far.
    variables : list of array
        The model's trainable, non-trainable and optimizer's variables.
    curve : list of dict of str to float
        Keras' logs of each epoch.
    epoch_seconds : list of float
        As in `Outcome`.
    origin : str
        What trained it, and from where: only what has the same can go on with it.
    callbacks : bytes
        The state of its callbacks; empty where it has none.
    ended : dict of str to float, optional
        If a callback has ended it, its scores on any test data: further epochs change nothing.
    """

    epochs: int
    variables: list[Any]
    curve: list[dict[str, float]]
    epoch_seconds: list[float]
    origin: str = ""
    callbacks: bytes = b""
    ended: dict[str, float] | None = None


@dataclass
class Spent:
    """What was spent of a budget, in all parts of a run together.

    Attributes
    ----------
    seconds : float
        Of wall clock.
    epochs : int
        Trained.
    """

    seconds: float = 0.0
    epochs: int = 0


@dataclass(frozen=True)
class KeptModel:
    """The model of one of the best trials, as bytes of a file.

    Attributes
    ----------
    trial : Trial
    wanted : tuple of (str, int)
        The strategies among whose best it is, and its number in each.
    plain : bool
        Whether Keras alone can load it; else it is weights only.
    content : bytes
        Of a ``.keras`` file, or a ``.weights.h5`` one; empty if it could not be saved at all.
    why : str
        Why it is not plain, or which classes of the user's have to be imported to load it.
    """

    trial: Trial
    wanted: tuple[tuple[str, int], ...]
    plain: bool
    content: bytes
    why: str = ""


def point_of(configuration: Mapping[str, Any]) -> str:
    """What equal configurations of a space that is no grid have in common, to the last bit."""
    return json.dumps(configuration, sort_keys=True)


def batch_size(configuration: Mapping[str, Any]) -> int:
    """The configuration's batch size in rows; Keras' 32 where there is no such hyperparameter."""
    return int(configuration.get("batch_size", KERAS_BATCH_SIZE))


def epochs(configuration: Mapping[str, Any]) -> int:
    """The configuration's epochs; Keras' 1 where there is no such hyperparameter."""
    return int(configuration.get("epochs", KERAS_EPOCHS))
