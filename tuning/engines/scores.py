"""Scores of a training: as numbers, as the metrics of a row, and whether they are finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def shortest_float32(value: Any) -> float:
    """The shortest decimal that is this number to float32, in which Keras computes."""
    return float(str(np.float32(value)))


def divergence(logs: Mapping[str, float], epoch: int) -> str:
    """Why training ended with this epoch, counted from 1; empty if its losses are finite."""
    if all(math.isfinite(logs[name]) for name in ("loss", "val_loss")):
        return ""
    return f"the loss was not finite in epoch {epoch}"


def score_metrics(last_epoch: dict[str, float], test: dict[str, float]) -> dict[str, float]:
    """A trial's metrics: the logs of its last epoch, and its scores on any test data."""
    metrics = {f"test_{name}": value for name, value in test.items()}
    for name, value in last_epoch.items():
        metrics[name if name.startswith("val_") else f"train_{name}"] = value
    return metrics
