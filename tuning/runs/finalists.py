"""The finalists of a run: its best configurations, trained again with other seeds."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tuning.errors import RunStopped, TuningError
from tuning.runs.best import BestModels
from tuning.runs.columns import (
    STATUSES,
    TRAINED,
    cells,
    columns_of,
    csv_line,
    point_of_row,
    row_of,
)
from tuning.runs.manifest import Manifest, cannot_write, read_manifest, write_text
from tuning.runs.run import Run, check_header, drop_torn_line
from tuning.space.grid import Grid
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
        self._columns = columns_of(manifest)
        self._path = run.path / FINALISTS
        self._folder = run.path / FOLDER
        mode = manifest.problem.mode
        self.best = BestModels(self._folder, min(1, manifest.keep), self._metric, mode)
        self.names: dict[int | str, str] = {}
        self._counted: set[tuple[str, int]] = set()
        try:
            self._open()
        except OSError as error:
            raise TuningError(cannot_write(self._path, error)) from error
        self.best.settle()

    def _open(self) -> None:
        """Make the file, or note what is in it."""
        if not self._path.exists():
            write_text(self._path, csv_line(self._columns))
        drop_torn_line(self._path)
        check_header(self._path, self._columns)
        for row in read_finalists(self._path, self._run.manifest):
            self._note(row, point_of_row(row, self._run.manifest.space))
        self._file = self._path.open("ab", buffering=0)

    def __enter__(self) -> FinalistsTable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

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
        content = "".join(csv_line(cells(row, self._columns)) for row in rows).encode()
        before = self._file.seek(0, os.SEEK_END)
        try:
            while content:
                content = content[self._file.write(content) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(before)
            raise RunStopped(cannot_write(self._path, error)) from error
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
    if not file.exists():
        return []
    columns, n = columns_of(manifest), 0
    found: dict[tuple[str, int], dict[str, Any]] = {}
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            whole = [line for line in lines if line.endswith("\n")]
        for n, texts in enumerate(csv.reader(whole)):
            if n:
                row = _row(dict(zip(columns, texts, strict=True)), manifest)
                found[row["strategy"], row["seed"]] = row
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise TuningError(
            f"{file} is damaged in row {max(1, n):,} or behind it: delete it, and the same search "
            "trains its finalists again"
        ) from error
    return list(found.values())


def _row(texts: Mapping[str, str], manifest: Manifest) -> dict[str, Any]:
    """A row with values in place of its cells' text; ValueError if there is no such row."""
    space, names = manifest.space, list(texts)
    scores = names[names.index("status") + 1 : names.index("train_seconds") + 1]
    row: dict[str, Any] = {name: text or None for name, text in texts.items()}
    row |= {name: int(texts[name]) for name in ("trial", "seed", TRAINED)}
    row |= {name: float(texts[name] or "nan") for name in scores}
    if isinstance(space, Grid):
        row["index"] = int(texts["index"])
        configuration = space[row["index"]]
    else:
        configuration = space.read({name: texts[name] for name in space.parameters})
    row |= {name: configuration.get(name) for name in space.parameters}
    if row["status"] not in STATUSES or not texts["strategy"].startswith(NAME):
        raise ValueError(row["status"])
    return row
