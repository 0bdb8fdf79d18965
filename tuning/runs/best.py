"""The models of a run's best trials, kept as files that need no software of ours."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.errors import RunStopped
from tuning.runs.manifest import cannot_write, write_bytes
from tuning.trial import KeptModel

BEST = "best"
PLAIN, WEIGHTS = ".keras", ".weights.h5"

Place = tuple[float, int]
"""The score and the number of a trial."""


class BestModels:
    """The models of the best few trials of each strategy of a run.

    ``best/<strategy>.keras`` is the best one's; ``best/<strategy>-<trial>.keras`` are all that are
    kept. Where Keras alone cannot load a model, as it has classes of the user's own, its weights
    are kept, as ``….weights.h5``. A ``.json`` beside each has the trial's configuration. A file is
    there whole or not at all: a model is written before its trial is counted, and what it takes the
    place of is deleted after.

    Parameters
    ----------
    run : Path
        The run directory.
    n : int
        How many to keep for each strategy.
    metric : str
    mode : {"max", "min"}
    """

    def __init__(self, run: Path, n: int, metric: str, mode: str) -> None:
        self._folder = run / BEST
        self._n = n
        self._metric = metric
        self._sign = 1.0 if mode == "max" else -1.0
        self._ranked: dict[str, list[Place]] = {}

    def rank(self, strategy: str, number: int, score: float) -> None:
        """Note a trial that has been counted."""
        if self._n and math.isfinite(score):
            own = self._ranked.setdefault(strategy, [])
            own.append((score, number))
            own.sort(key=lambda place: (-self._sign * place[0], place[1]))
            del own[self._n :]

    def bars(self) -> dict[str, tuple[Place, ...]]:
        """The scores and numbers of the trials kept, by strategy, the best first."""
        return {strategy: tuple(own) for strategy, own in self._ranked.items()}

    def missing(self) -> list[tuple[str, int]]:
        """The strategies and numbers of trials that are among the best and were not written."""
        return [
            (strategy, number)
            for strategy, own in self._ranked.items()
            for _, number in own
            if not (self._folder / f"{strategy}-{number}.json").exists()
        ]

    def write(self, models: Sequence[KeptModel]) -> None:
        """Write models, each before its trial is counted.

        What stands beside a model is written last: without it the model counts as missing.

        Raises
        ------
        RunStopped
            If the disk does not take them.
        """
        for model in models:
            about = {
                "index": model.trial.index,
                "seed": model.trial.seed,
                "epochs": model.trial.epochs,
                "configuration": model.trial.configuration,
                ("needs" if model.plain else "weights_only" if model.content else "not_kept"): (
                    model.why
                ),
            }
            for strategy, number in model.wanted:
                stem = f"{strategy}-{number}"
                text = json.dumps({"strategy": strategy, "trial": number, **about}, indent=2)
                kind = PLAIN if model.plain else WEIGHTS
                try:
                    self._folder.mkdir(exist_ok=True)
                    if model.content:
                        write_bytes(self._folder / f"{stem}{kind}", model.content)
                    write_bytes(self._folder / f"{stem}.json", f"{text}\n".encode())
                except OSError as error:
                    raise RunStopped(cannot_write(self._folder / f"{stem}{kind}", error)) from error

    def adopt(self, strategy: str, number: int, file: Path) -> None:
        """Copy a model, of another run or another strategy, as that of a trial here.

        It stays missing if what stands beside the other cannot be read.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        if not (about := _read(_beside(file))):
            return
        self._folder.mkdir(exist_ok=True)
        stem = f"{strategy}-{number}"
        text = json.dumps({**about, "strategy": strategy, "trial": number}, indent=2)
        write_bytes(self._folder / f"{stem}{_kind(file)}", file.read_bytes())
        write_bytes(self._folder / f"{stem}.json", f"{text}\n".encode())

    def settle(self) -> None:
        """Have the best one's file be the best trial's, and delete what is no longer kept."""
        if not self._folder.exists():
            return
        kept = {f"{name}-{number}" for name, own in self._ranked.items() for _, number in own}
        for strategy, own in self._ranked.items():
            if (file := model_file(self._folder.parent, strategy, own[0][1])) is not None:
                kept.add(strategy)
                self._point_to(strategy, file)
        for path in self._folder.iterdir():
            if path.name.removesuffix(_kind(path)) not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _point_to(self, strategy: str, file: Path) -> None:
        """Have a strategy's best file be another name of a kept one."""
        kind = _kind(file)
        for source in (_beside(file), file):
            target = self._folder / f"{strategy}{_kind(source)}"
            with contextlib.suppress(OSError):
                if target.exists() and os.path.samefile(source, target):
                    continue
                draft = target.with_name(f".{target.name}.draft")
                draft.unlink(missing_ok=True)
                try:
                    os.link(source, draft)
                except OSError:  # a filesystem without hard links
                    shutil.copyfile(source, draft)
                draft.replace(target)
        other = PLAIN if kind == WEIGHTS else WEIGHTS
        (self._folder / f"{strategy}{other}").unlink(missing_ok=True)


def model_file(run: Path, strategy: str, number: int | None = None) -> Path | None:
    """Where a run keeps the model of a trial, or of a strategy's best; None if it does not."""
    stem = strategy if number is None else f"{strategy}-{number}"
    files = (run / BEST / f"{stem}{kind}" for kind in (PLAIN, WEIGHTS))
    return next((file for file in files if file.exists()), None)


def kept_trials(run: Path) -> dict[tuple[str, int], str]:
    """The kind of file that a run keeps of a trial's model, by its strategy and number."""
    found = {}
    for kind in (WEIGHTS, PLAIN):
        for file in (run / BEST).glob(f"*-*{kind}"):
            strategy, _, number = file.name.removesuffix(kind).rpartition("-")
            found[strategy, int(number)] = kind
    return found


def about_model(run: Path, strategy: str, number: int) -> Mapping[str, Any]:
    """What is known of a trial's model: its configuration, and why it is not a plain file.

    Returns
    -------
    mapping
        ``index``, ``seed``, ``epochs``, ``configuration``; and a sentence as ``needs`` (classes to
        import before loading), ``weights_only`` or ``not_kept``. Empty if nothing is known.
    """
    return _read(run / BEST / f"{strategy}-{number}.json")


def _read(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file; empty if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _beside(file: Path) -> Path:
    """What stands beside a model."""
    return file.with_name(file.name.removesuffix(_kind(file)) + ".json")


def _kind(path: Path) -> str:
    return next((kind for kind in (WEIGHTS, PLAIN) if path.name.endswith(kind)), path.suffix)
