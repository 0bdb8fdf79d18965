"""A run's tables as people read them: the trials and their learning curves, checked."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.errors import TuningError, first_line
from tuning.grid import Grid, Value
from tuning.manifest import manifest_grid, read_manifest
from tuning.results import CURVES, TRIALS, curve_columns, trial_columns

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("ok", "diverged", "failed")


def load_results(path: str | Path) -> pd.DataFrame:
    """The trials of a run as a table, each strategy's in the order it asked for them.

    Parameters
    ----------
    path : str or Path
        A run directory, as a run made it or as `tuning.publish` wrote it.

    Returns
    -------
    DataFrame
        One row a trial: ``run``, ``strategy``, ``number`` (its place in the strategy's order,
        from 0), ``trial`` (grid index), ``seed``, a column for each axis, ``status``, ``val_…``,
        ``test_…`` and ``train_…`` of each metric, ``train_seconds``, ``engine``, ``backend``,
        ``worker``, ``finished_at`` (UTC), ``error``.

    Raises
    ------
    TuningError
        If the directory is not a run, or its table is damaged: a column or row is missing, a row
        is there twice, a number is none, or a configuration is not its grid's.
    """
    manifest = read_manifest(path)
    file, table = _read(Path(path), TRIALS)
    grid = manifest_grid(manifest)
    columns = trial_columns(grid.axes, manifest["metrics"])
    _check_columns(table, columns, file)
    _check_integers(table, ["number", "trial", "seed"], file)
    _check(table["status"].isin(STATUSES), "status", table, file, "is none")
    _check_numbers(table, columns[columns.index("status") + 1 : columns.index("engine")], file)
    inside = table["trial"].between(0, grid.size - 1)
    _check(inside, "trial", table, file, f"is not in a grid of {grid.size:,}")
    for axis, values in grid.axes.items():
        right = _is_of_grid(table, axis, values, grid)
        _check(right, axis, table, file, "is not what the manifest's grid has there")
    doubled = table.duplicated(["strategy", "trial", "seed"])
    _check(~doubled, "trial", table, file, "is there a second time")
    _check_complete(len(table), manifest, "trials", file)
    return table.sort_values(["strategy", "number"], kind="stable", ignore_index=True)


def load_curves(path: str | Path) -> pd.DataFrame:
    """The learning curves of a run.

    Returns
    -------
    DataFrame
        One row an epoch: ``run``, ``strategy``, ``trial``, ``seed``, ``epoch`` (from 1), ``loss``,
        ``val_loss`` and the metric that chooses. A published run has only the longest of trainings
        that differ in nothing but ``epochs``: the shorter ones are its beginning.

    Raises
    ------
    TuningError
        As `load_results`.
    """
    manifest = read_manifest(path)
    file, table = _read(Path(path), CURVES)
    columns = curve_columns(manifest["problem"]["metric"])
    _check_columns(table, columns, file)
    _check_integers(table, ["trial", "seed", "epoch"], file)
    _check_numbers(table, columns[columns.index("epoch") + 1 :], file)
    _check_complete(len(table), manifest, "epochs", file)
    return table


def _read(path: Path, name: str) -> tuple[Path, pd.DataFrame]:
    """A table of a run, from the form it is there in."""
    import pandas as pd

    stem = Path(name).stem
    forms = (name, f"{stem}.parquet", f"{stem}.csv.gz")
    file = next((path / form for form in forms if (path / form).exists()), path / name)
    try:
        if file.suffix == ".parquet":
            return file, pd.read_parquet(file)
        if file.suffix == ".gz":
            return file, pd.read_csv(file)
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]  # a driver may be writing the last line
        return file, pd.read_csv(io.BytesIO(whole))
    except (OSError, EOFError, ValueError, KeyError) as error:
        said = first_line(error)
        raise TuningError(f"{file} cannot be read as a table: {said}") from error


def _check_columns(table: pd.DataFrame, columns: list[str], file: Path) -> None:
    if missing := [name for name in columns if name not in table]:
        raise TuningError(f"{file} is not of this run: it has no column {missing[0]!r}")


def _check_integers(table: pd.DataFrame, columns: list[str], file: Path) -> None:
    import pandas as pd

    for name in columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        _check(numbers % 1 == 0, name, table, file, "is not an integer")


def _check_numbers(table: pd.DataFrame, columns: list[str], file: Path) -> None:
    """Every cell of these columns is a number, or empty."""
    import pandas as pd

    for name in columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        _check(numbers.notna() | table[name].isna(), name, table, file, "is not a number")


def _is_of_grid(
    table: pd.DataFrame, axis: str, values: tuple[Value, ...], grid: Grid
) -> pd.Series[bool]:
    """Whether each row has the axis's value that its grid index says."""
    import pandas as pd

    slower = list(grid.axes)[list(grid.axes).index(axis) + 1 :]
    stride = int(np.prod([len(grid.axes[name]) for name in slower], dtype=object))
    positions = table["trial"].to_numpy() // stride % len(values)
    codes, cells = pd.factorize(table[axis], use_na_sentinel=False)
    same = np.array([[_same(cell, value) for value in values] for cell in cells], dtype=bool)
    return pd.Series(same[codes, positions] if len(table) else [], table.index, dtype=bool)


def _same(cell: Any, value: Value) -> bool:
    """Whether a cell of a table is this value of an axis, which may have become a float or text."""
    import pandas as pd

    if value is None or value == "":
        return bool(pd.isna(cell)) or cell == ""
    return bool(cell == value or str(cell) == str(value))


def _check(
    right: pd.Series[bool], column: str, table: pd.DataFrame, file: Path, fault: str
) -> None:
    if right.all():
        return
    row = right.index[~right][0]
    raise TuningError(
        f"{file} is damaged in row {row + 1:,}: {column} {str(table.loc[row, column])!r} {fault}"
    )


def _check_complete(rows: int, manifest: Mapping[str, Any], what: str, file: Path) -> None:
    """A published table has as many rows as its manifest says."""
    expected = manifest.get("published", {}).get(what, rows)
    if rows != expected:
        raise TuningError(
            f"{file} is damaged: it has {rows:,} rows, where its manifest says {expected:,}"
        )
