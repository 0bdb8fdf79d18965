"""A run's tables, read and checked: its trials and their learning curves."""

from __future__ import annotations

import gzip
import io
import math
import shlex
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.errors import TuningError, first_line
from tuning.runs.columns import (
    CURVES,
    KEY,
    STATUSES,
    TRAINED,
    TRIALS,
    columns_of,
    curve_columns,
    point_of_row,
)
from tuning.runs.manifest import Manifest, read_manifest
from tuning.runs.typed import typed
from tuning.samplers import gives_each_once
from tuning.space.grid import Grid
from tuning.space.labels import cell_text
from tuning.space.space import Space
from tuning.trial import KERAS_EPOCHS

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "again.csv"
OLD_NAMES = {"number": "trial", "trial": "index"}  # of columns in format 1
ROWS_AT_ONCE = 10_000  # as Python's own objects


def load_results(path: str | Path) -> pd.DataFrame:
    """The trials of a run as a table, each strategy's in the order it asked for them.

    A trial that several strategies asked for was trained once, and has a row for each.

    Parameters
    ----------
    path : str or Path
        A run directory, as a run made it or as `tuning.runs.publish` wrote it.

    Returns
    -------
    DataFrame
        One row a trial: ``run``, ``strategy``, ``trial`` (its number in the strategy's order, from
        0), ``index`` (its configuration's place in the grid; None of a space that is no grid),
        ``seed``, a column for each hyperparameter (labels of values that are no number, boolean or
        text; empty where it does not exist), ``trained_epochs``, ``status``, ``val_…``, ``test_…``
        (where there is test data) and ``train_…`` of each metric, ``train_seconds``, ``engine``,
        ``backend``, ``worker``, ``finished_at`` (UTC), ``error``.

    Raises
    ------
    TuningError
        If the directory is not a run, or its table is damaged: a column is missing, a row is there
        twice, a number is not one, or a configuration is not its grid's; of a published run also if
        rows are missing.
    """
    manifest = read_manifest(path)
    file, table = _read(Path(path), TRIALS, manifest)
    space, columns = manifest.space, columns_of(manifest)
    known = columns if manifest.format >= 3 else [name for name in columns if name != TRAINED]
    _check_columns(table, known, file)
    named = table["strategy"].astype(str).map(str.isidentifier).astype(bool)
    _check(named, "strategy", table, file, "is not one")
    _check(table["status"].isin(STATUSES), "status", table, file, "is not one")
    _to_integers(table, ["trial", "seed"], file)
    own = table["seed"] == manifest.seed
    _check(own, "seed", table, file, f"is not the run's, {manifest.seed}")
    if isinstance(space, Grid):
        _to_integers(table, ["index"], file)
        inside = (table["index"] >= 0) & (table["index"] < space.size)
        _check(inside, "index", table, file, f"is not in a grid of {space.size:,}")
        for axis in space.axes:
            _to_values(table, axis, space, file)
    else:
        _to_no_index(table, file)
        _to_configurations(table, space, file)
    if manifest.format >= 3:
        _to_integers(table, [TRAINED], file)
    else:  # which had no trainings that were stopped
        meant = table.get("epochs", KERAS_EPOCHS)
        place = columns.index(TRAINED)
        table.insert(place, TRAINED, np.where(table["status"] == "ok", meant, 0))
    scores = columns[columns.index("status") + 1 : columns.index("train_seconds")]
    for name in scores:
        there = (table["status"] != "ok") | (table[name] != "")
        _check(there, name, table, file, "is not a score")
    _to_numbers(table, [*scores, "train_seconds"], file)
    for name in columns[columns.index("engine") :]:
        table[name] = table[name].mask(table[name] == "")
    once = table["strategy"].map(gives_each_once)  # others may ask for a configuration again
    found = table[["strategy"]].assign(point=points_of(table, space))
    if any(once):
        name = "index" if isinstance(space, Grid) else columns[len(KEY)]
        again = found.duplicated() & once.astype(bool)
        _check(~again, name, table, file, "is there a second time")
    again = table.duplicated(["strategy", "trial"])
    _check(~again, "trial", table, file, "is there a second time")
    _check_complete(table, _rows(manifest, "trials"), file)
    return table.sort_values(["strategy", "trial"], kind="stable", ignore_index=True)


def load_curves(path: str | Path) -> pd.DataFrame:
    """The learning curves of a run.

    Returns
    -------
    DataFrame
        One row an epoch: ``run``, ``strategy``, ``trial``, ``index``, ``seed``, ``epoch`` (from 1),
        ``loss``, ``val_loss`` and the metric that chooses. A published run has only the longest of
        trainings that differ in nothing but ``epochs``: the shorter ones are its beginning.

    Raises
    ------
    TuningError
        If the directory is not a run, or the table lacks a column, has an epoch twice, or a number
        is not one; of a published run also if rows are missing; of an old run also if its trials
        are damaged.
    """
    return _curves(path, read_manifest(path))


def load_judged(path: str | Path) -> pd.DataFrame:
    """The learning curves of a run, with no more columns than a choice needs.

    Returns
    -------
    DataFrame
        As `load_curves`, of which ``run``, ``seed`` and the losses may be left out.

    Raises
    ------
    TuningError
        As `load_curves`, for these columns.
    """
    manifest = read_manifest(path)
    if manifest.format == 1:  # which finds a trial by its place in the grid
        return _curves(path, manifest)
    return _curves(path, manifest, ("strategy", "trial", "epoch", manifest.problem.metric))


def _curves(
    path: str | Path, manifest: Manifest, only: Collection[str] | None = None
) -> pd.DataFrame:
    """The learning curves of a run; with all of the columns, or with some only."""
    file, table = _read(Path(path), CURVES, manifest, only)
    columns = curve_columns(manifest.problem.metric)
    if only is not None:
        columns = [name for name in columns if name in only]
    keys = ["strategy", "index" if manifest.format == 1 else "trial"]
    _check_columns(table, [name for name in columns if name in keys or name != "trial"], file)
    integers = ["trial", "index", "seed", "epoch"]
    if not isinstance(manifest.space, Grid):
        integers.remove("index")
        if "index" in columns:
            _to_no_index(table, file)
    _to_integers(table, [name for name in integers if name in table], file)
    _to_numbers(table, columns[columns.index("epoch") + 1 :], file)
    again = table.duplicated([*keys, "epoch"])
    _check(~again, "epoch", table, file, "is there a second time")
    _check_complete(table, _rows(manifest, "epochs"), file)
    if manifest.format == 1:
        table = table.merge(load_results(path)[["strategy", "trial", "index"]], on=keys)
        table = table[columns]
    return table


def points_of(table: pd.DataFrame, space: Space) -> pd.Series[Any]:
    """What rows with the same configuration have in common: see `Trial.point`."""
    import pandas as pd

    if isinstance(space, Grid):
        return table["index"]
    columns = {name: table[name].tolist() for name in space.parameters}
    points = [
        point_of_row({name: cells[i] for name, cells in columns.items()}, space)
        for i in range(len(table))
    ]
    return pd.Series(points, table.index, dtype=object)


def lines_of(table: pd.DataFrame, space: Space) -> pd.Series[Any]:
    """What rows have in common that differ in nothing but their epochs."""
    if isinstance(space, Grid):
        line: pd.Series[Any] = space.line("epochs", table["index"])
        return line
    return points_of(table.assign(epochs=None), space)


def load_again(path: str | Path, metric: str) -> pd.DataFrame | None:
    """The trials of a run that were trained again, the best first; None if none were.

    Returns
    -------
    DataFrame
        As `tuning.api.steadiness.train_again` returns it.

    Raises
    ------
    TuningError
        If the table is damaged.
    """
    import pandas as pd

    file = Path(path) / AGAIN
    if not file.exists():
        return None
    columns = {"index": int, metric: float, "again": float, "moved": float}
    try:
        found = pd.read_csv(file).rename(columns=OLD_NAMES)  # of any age, as it has no other trial
        return found.astype(columns)
    except (ValueError, KeyError) as error:
        raise TuningError(f"{file} is damaged: write it anew with --again") from error


def refuse_empty(results: pd.DataFrame, path: str | Path) -> None:
    """Refuse a run that has no trials.

    Raises
    ------
    TuningError
    """
    if results.empty:
        command = shlex.join([*typed("run"), "--out", str(path)])
        raise TuningError(f"{path} has no trials yet: {command} trains some")


def as_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The values as Python objects: None for a missing one, NaN for a score that is NaN."""
    cells = table.astype(object).where(table.notna(), None)
    if "status" in table:
        columns = list(table)
        for name in columns[columns.index("status") + 1 : columns.index("train_seconds")]:
            cells.loc[(table["status"] == "ok") & table[name].isna(), name] = math.nan
    return cells


def as_csv(table: pd.DataFrame) -> str:
    """The table as CSV with the cells of `trials.csv`: empty for None, and never a formula.

    It is made some rows at a time, as Python's own strings take ten times the memory of the text.
    """
    starts = range(0, max(1, len(table)), ROWS_AT_ONCE)
    parts = [table.iloc[start : start + ROWS_AT_ONCE] for start in starts]
    return "".join(
        as_cells(part).map(cell_text).to_csv(index=False, header=part is parts[0]) for part in parts
    )


def _read(
    path: Path, name: str, manifest: Manifest, only: Collection[str] | None = None
) -> tuple[Path, pd.DataFrame]:
    """Read a table of a run in any of its forms, with the columns' names of today."""
    file, table = _read_any(path, name, only)
    return file, table.rename(columns=OLD_NAMES) if manifest.format == 1 else table


def _read_any(
    path: Path, name: str, only: Collection[str] | None = None
) -> tuple[Path, pd.DataFrame]:
    """Read a table of a run in any of its forms, or some of its columns; cells of CSV as text."""
    import pandas as pd

    stem = Path(name).stem
    forms = (name, f"{stem}.parquet", f"{stem}.csv.gz")
    file = next((path / form for form in forms if (path / form).exists()), path / name)
    try:
        if file.suffix == ".parquet":
            return file, pd.read_parquet(file, columns=None if only is None else [*only])
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
        end = content.rfind(b"\n") + 1  # a driver may be writing the last line
        whole = io.BytesIO(content if end == len(content) else content[:end])
        takes = None if only is None else lambda name: name in only
        return file, pd.read_csv(whole, dtype=str, keep_default_na=False, usecols=takes)
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise TuningError(f"{file} cannot be read as a table: {why}") from error


def _check_columns(table: pd.DataFrame, columns: list[str], file: Path) -> None:
    if missing := [name for name in columns if name not in table]:
        raise TuningError(f"{file} is not of this run: it has no column {missing[0]!r}")


def _to_integers(table: pd.DataFrame, columns: list[str], file: Path) -> None:
    for name in columns:
        text = table[name].astype(str)
        right = text.str.fullmatch("-?[0-9]+").astype(bool)
        _check(right, name, table, file, "is not an integer")
        table[name] = [int(cell) for cell in text]  # of any size: a grid may have 10**18 points


def _to_numbers(table: pd.DataFrame, columns: list[str], file: Path) -> None:
    """Convert columns to numbers; refuse a cell that is neither a number (NaN is one) nor empty."""
    import pandas as pd

    for name in columns:
        cells = table[name]
        numbers = pd.to_numeric(cells, errors="coerce")
        right = numbers.notna() | cells.isna() | cells.isin(["", "nan"])
        _check(right, name, table, file, "is not a number")
        table[name] = numbers.astype(float)


def _to_values(table: pd.DataFrame, axis: str, grid: Grid, file: Path) -> None:
    """Convert an axis's column from text to the grid's values; refuse a cell that is another."""
    import pandas as pd

    if table.empty:
        return
    values = grid.axes[axis]
    positions = grid.position(axis, table["index"].to_numpy()).astype(int)
    codes, cells = pd.factorize(table[axis], use_na_sentinel=False)
    texts = ["" if pd.isna(cell) else cell_text(cell) for cell in cells]
    same = np.array([[text == cell_text(value) for value in values] for text in texts])
    right = pd.Series(same[codes, positions], table.index)
    _check(right, axis, table, file, "is not what the manifest's grid has there")
    own = pd.Series(np.array(values, dtype=object)[positions], table.index, dtype=object)
    table[axis] = own.infer_objects() if len(set(map(type, values))) == 1 else own


def _to_no_index(table: pd.DataFrame, file: Path) -> None:
    """Refuse an index, which rows of a space that is no grid do not have."""
    none = table["index"].isna() | (table["index"] == "")
    _check(none, "index", table, file, "is in a table of no grid")
    table["index"] = np.full(len(table), None, dtype=object)


def _to_configurations(table: pd.DataFrame, space: Space, file: Path) -> None:
    """Convert the hyperparameters' columns from text to values of the space, None for none."""
    import pandas as pd

    names = list(space.parameters)
    cells = {
        name: ["" if pd.isna(cell) else cell_text(cell) for cell in table[name].tolist()]
        for name in names
    }
    found: dict[str, list[Any]] = {name: [] for name in names}
    for i in range(len(table)):
        try:
            configuration = space.read({name: cells[name][i] for name in names})
        except ValueError as error:
            raise TuningError(
                f"{file} is damaged in row {i + 1:,}: the row is of no configuration of the "
                f"manifest's space ({first_line(error, 80)})"
            ) from error
        for name in names:
            found[name].append(configuration.get(name))
    for name, values in found.items():
        kinds = set(map(type, values))
        own = pd.Series(values, table.index, dtype=object)
        numbers = kinds <= {float, type(None)} and float in kinds
        table[name] = own.astype(float) if numbers else own
        if len(kinds) == 1 and type(None) not in kinds:
            table[name] = own.infer_objects()


def _check(
    right: pd.Series[bool], column: str, table: pd.DataFrame, file: Path, fault: str
) -> None:
    if right.all():
        return
    row = int(np.argmin(right.to_numpy()))
    cell = str(table[column].iloc[row])
    raise TuningError(f"{file} is damaged in row {row + 1:,}: {column} {cell!r} {fault}")


def _rows(manifest: Manifest, of: str) -> int | None:
    """The rows that a published run's table should have; None if the run is not published."""
    return None if manifest.published is None else int(getattr(manifest.published, of))


def _check_complete(table: pd.DataFrame, expected: int | None, file: Path) -> None:
    """Refuse a published table that has not as many rows as its manifest says."""
    if expected is not None and len(table) != expected:
        raise TuningError(
            f"{file} is damaged: it has {len(table):,} rows, where its manifest says {expected:,}"
        )
