"""The ensemble of a run: one Keras file that averages its best models, and what it scores."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuning.errors import RunStopped, TuningError, first_line
from tuning.runs.manifest import cannot_write, write_bytes

MODEL, ABOUT = "ensemble.keras", "ensemble.json"


@dataclass(frozen=True)
class Part:
    """A model of an ensemble.

    Attributes
    ----------
    strategy : str
    trial : int
        Its number in the strategy's order.
    taken : int
        How often it was taken: its weight among all parts.
    """

    strategy: str
    trial: int
    taken: int


@dataclass(frozen=True)
class Ensemble:
    """What is known of an ensemble.

    Attributes
    ----------
    selection : {"best", "greedy"}
    asked : int
        From how many of the best models the parts were selected.
    parts : list of Part
        The best one first.
    scores : dict of str to float
        The ensemble's: ``val_`` and, where there is test data, ``test_`` of each metric.
    best : dict of str to float
        Those of the best single model.
    needs : str
        What has to be imported before Keras can load it; empty if nothing has to be.
    """

    selection: str
    asked: int
    parts: list[Part]
    scores: dict[str, float]
    best: dict[str, float]
    needs: str = ""


def write_ensemble(run: Path, model: bytes, about: Ensemble) -> None:
    """Write an ensemble's model and what is known of it into a run directory, over another one.

    Raises
    ------
    RunStopped
        If the disk does not take them.
    """
    text = json.dumps(asdict(about), indent=2) + "\n"
    for name, content in ((MODEL, model), (ABOUT, text.encode())):
        try:
            write_bytes(run / name, content)
        except OSError as error:
            raise RunStopped(cannot_write(run / name, error)) from error


def read_ensemble(run: Path) -> Ensemble | None:
    """What is known of a run's ensemble; None if it has none.

    Raises
    ------
    TuningError
        If the file is damaged.
    """
    file = run / ABOUT
    if not file.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        scores = {
            of: {str(name): float(value) for name, value in found[of].items()}
            for of in ("scores", "best")
        }
        parts = [Part(**each) for each in found["parts"]]
        return Ensemble(**{**found, "parts": parts, **scores})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TuningError(
            f"{file} is damaged, so make the ensemble again: {first_line(error, 80)}"
        ) from error
