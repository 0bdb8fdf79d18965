"""What training one configuration came to."""

from __future__ import annotations

import datetime
import math
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

Status: TypeAlias = Literal["ok", "diverged", "failed", "timeout"]


def now() -> str:
    """The time in UTC to the second, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def worker_name() -> str:
    """This process among all that train: host and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"


def shortest_float32(value: Any) -> float:
    """The shortest decimal that is this number to float32, in which Keras computes."""
    return float(str(np.float32(value)))


def divergence(logs: Mapping[str, float], epoch: int) -> str:
    """Why training ended with this epoch, counted from 1; empty if its losses are finite."""
    if all(math.isfinite(logs[name]) for name in ("loss", "val_loss")):
        return ""
    return f"the loss was not finite in epoch {epoch}"


@dataclass(frozen=True)
class Outcome:
    """One trial, trained.

    Attributes
    ----------
    trial : int
        The grid index.
    seed : int
    status : {"ok", "diverged", "failed", "timeout"}
        ``diverged``: the loss became NaN or infinite, and training ended there;
        ``failed``: building or training raised, or ended the worker; ``timeout``: it took longer
        than a trial may.
    metrics : dict of str to float
        ``train_``, ``val_`` and ``test_`` of each of the model's metrics; empty unless ``ok``.
    curve : list of dict of str to float
        Keras' logs of each epoch trained.
    seconds : float
        Wall time for which it held its CPU. Through `fit`, from building the model to its test
        score; in a pack, its share of that, without the epochs that a shorter trial pays for.
    epoch_seconds : list of float
        Wall time of each epoch, validation included, and of a pack this trial's share; the first
        holds compilation.
    error : str
        One line, unless ``ok``.
    engine, backend, worker : str
        What trained it, and the worker process.
    finished_at : str
        UTC, ISO 8601.
    """

    trial: int
    seed: int
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
