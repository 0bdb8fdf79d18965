"""The finalists of a run: its best configurations, trained again with other seeds."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.runs.appended import Appended, read_rows
from tuning.runs.best import BestModels
from tuning.runs.columns import (
    STATUSES,
    TRAINED,
    columns_of,
    configuration_of_cells,
    point_of_row,
    row_of,
)
from tuning.runs.manifest import Manifest, cannot_write, read_manifest
from tuning.runs.run import Run
from tuning.trial import KeptModel, Outcome

if TYPE_CHECKING:
    import pandas as pd

FINALISTS = "finalists.csv"
FOLDER = "finalists"  # of their models
NAME = "finalist_"  # and a number: what stands in the column of strategies


class FinalistsTable:
    """The file ``finalists.csv`` of a run that is open: one row for each finalist and seed.

    Its columns are those of ``trials.csv``. ``strategy`` is the finalist's name, such as
    ``finalist_0``, and ``trial`` the number of its repeat, from 0. Rows are appended and flushed to
    the disk before they count. The best model of each finalist is kept in the folder ``finalists``.

    Parameters
    ----------
    run : Run
        Open, so that nobody else writes it.

    Attributes
    ----------
    names : dict of point to str
        What each finalist is called, by its `Trial.point`.
    best : BestModels
        The model of each finalist's best repeat.

    Raises
    ------
    TuningError
        If the table is damaged, or cannot be written.
    """

    def __init__(self, run: Run) -> None:
        self._run, manifest = run, run.manifest
        self._metric = manifest.problem.metric
        path = run.path / FINALISTS
        self._folder = run.path / FOLDER
        mode = manifest.problem.mode
        self.best = BestModels(self._folder, min(1, manifest.keep), self._metric, mode)
        self.names: dict[int | str, str] = {}
        self._counted: set[tuple[str, int]] = set()
        try:
            self._table = Appended(path, columns_of(manifest), make=True)
        except OSError as error:
            raise TuningError(cannot_write(path, error)) from error
        for row in read_finalists(path, manifest):
            self._note(row, point_of_row(row, manifest.space))
        self.best.settle()

    def __enter__(self) -> FinalistsTable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._table.close()

    def name(self, point: int | str) -> str:
        """What the finalist of a configuration is called; a new one gets the first free number.

        So names are given as before where a run was interrupted that had counted some.
        """
        if point not in self.names:
            used = set(self.names.values())
            free = (name for number in itertools.count() if (name := f"{NAME}{number}") not in used)
            self.names[point] = next(free)
        return self.names[point]

    def has(self, name: str, seed: int) -> bool:
        """Whether a finalist's training with a seed is counted."""
        return (name, seed) in self._counted

    def keep(self, models: Sequence[KeptModel]) -> None:
        """Keep models of finalists, before their trainings are counted.

        Raises
        ------
        RunStopped
            If the disk does not take them.
        """
        if models:
            self._run.check()
            self._folder.mkdir(exist_ok=True)
            self.best.write(models)

    def count(self, outcomes: Sequence[tuple[str, Outcome]]) -> None:
        """Count trainings, each with its finalist's name: when this returns, they are on the disk.

        Raises
        ------
        RunStopped
            If the disk does not take them, or another driver has taken the run over.
        """
        if not outcomes:
            return
        self._run.check()
        rows = [row_of(self._run.path.absolute().name, name, each) for name, each in outcomes]
        self._table.append(rows)
        for row, (_, outcome) in zip(rows, outcomes, strict=True):
            self._note(row, outcome.trial.point)
        self.best.settle()

    def _note(self, row: Mapping[str, Any], point: int | str) -> None:
        self.names[point] = row["strategy"]
        self._counted.add((row["strategy"], row["seed"]))
        if row["status"] == "ok":
            self.best.rank(row["strategy"], row["trial"], float(row[self._metric]))


def load_finalists(path: str | Path) -> pd.DataFrame:
    """The trainings of a run's finalists, each with another seed than the search had.

    Parameters
    ----------
    path : str or Path
        A run directory.

    Returns
    -------
    DataFrame
        One row a training, in the order in which they ended, with the columns of
        `tuning.load_results`. Empty if the run has no finalists.

    Raises
    ------
    TuningError
        If the directory is not a run, or the table is damaged.
    """
    import pandas as pd

    manifest = read_manifest(path)
    return pd.DataFrame(
        read_finalists(Path(path) / FINALISTS, manifest), None, columns_of(manifest)
    )


def read_finalists(file: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """The rows of a table of finalists; none where there is no file.

    Raises
    ------
    TuningError
        If it is damaged.
    """
    remedy = "delete it, and the same search trains its finalists again"
    read = functools.partial(_row, manifest=manifest)
    rows = read_rows(file, columns_of(manifest), read, remedy)
    return list({(row["strategy"], row["seed"]): row for row in rows}.values())


def _row(texts: Mapping[str, str], manifest: Manifest) -> dict[str, Any]:
    """A row with values in place of its cells' text; ValueError if there is no such row."""
    space, names = manifest.space, list(texts)
    scores = names[names.index("status") + 1 : names.index("train_seconds") + 1]
    row: dict[str, Any] = {name: text or None for name, text in texts.items()}
    row |= {name: int(texts[name]) for name in ("trial", "seed", TRAINED)}
    row |= {name: float(texts[name] or "nan") for name in scores}
    configuration = configuration_of_cells(texts, space)
    row["index"] = space.place(configuration)
    row |= {name: configuration.get(name) for name in space.parameters}
    if row["status"] not in STATUSES or not texts["strategy"].startswith(NAME):
        raise ValueError(row["status"])
    return row
