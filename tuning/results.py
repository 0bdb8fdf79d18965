"""The run directory's tables: a row for every trial, and their learning curves."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
import platform
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tuning.errors import RunStopped, TuningError
from tuning.grid import Configuration, Row
from tuning.manifest import MANIFEST, manifest_grid, manifest_text, read_manifest, write_text
from tuning.training.outcome import Outcome

TRIALS = "trials.csv"
CURVES = "curves.csv"
LOCK = "lock"

KEY = ("run", "strategy", "number", "trial", "seed")
AFTER_METRICS = (
    "train_seconds",
    "engine",
    "backend",
    "worker",
    "finished_at",
    "error",
)
OF_COMPARISON = ("trials", "total_epochs", "total_cpu_seconds")  # columns beside the axes there


def trial_columns(axes: Iterable[str], metrics: Iterable[str]) -> list[str]:
    """The columns of trials.csv, in order.

    Raises
    ------
    TuningError
        If an axis has the name of another column.
    """
    scores = [f"{split}_{name}" for split in ("val", "test", "train") for name in metrics]
    others = {*KEY, "status", *scores, *AFTER_METRICS, *OF_COMPARISON}
    for axis in axes:
        if axis in others:
            raise TuningError(f"an axis cannot be called {axis!r}: the results have such a column")
    return [*KEY, *axes, "status", *scores, *AFTER_METRICS]


def curve_columns(metric: str) -> list[str]:
    """The columns of curves.csv: the losses, and the metric that chooses."""
    return list(
        dict.fromkeys(["run", "strategy", "trial", "seed", "epoch", "loss", "val_loss", metric])
    )


def row_of(
    outcome: Outcome, configuration: Configuration, *, run: str, strategy: str, number: int
) -> Row:
    """An outcome as a strategy's row in trials.csv."""
    return {
        "run": run,
        "strategy": strategy,
        "number": number,
        "trial": outcome.trial,
        "seed": outcome.seed,
        **configuration,
        "status": outcome.status,
        **outcome.metrics,
        "train_seconds": round(outcome.seconds, 3),
        "engine": outcome.engine,
        "backend": outcome.backend,
        "worker": outcome.worker,
        "finished_at": outcome.finished_at,
        "error": outcome.error,
    }


class Run:
    """A run directory, open to be written by one driver.

    Rows are appended in one write and flushed to the disk before they count. A line that a crash
    cut short is dropped when the run is opened again, as are learning curves whose trial was not
    counted.

    Attributes
    ----------
    path : Path
    manifest : dict
    done : dict of str to set of int
        The grid indices counted so far, by strategy.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], lock: IO[str]) -> None:
        self.path = path
        self.manifest = manifest
        self._lock = lock
        grid = manifest_grid(manifest)
        self._columns = trial_columns(grid.axes, manifest["metrics"])
        self._curve_columns = curve_columns(manifest["problem"]["metric"])
        self._curve_logs = self._curve_columns[self._curve_columns.index("epoch") + 1 :]
        self._grid = grid
        self.done = self._recover()
        self._trials = (path / TRIALS).open("ab", buffering=0)
        self._curves = (path / CURVES).open("ab", buffering=0)

    @classmethod
    def create(cls, path: Path, manifest: dict[str, Any]) -> Run:
        """Make a new run; it appears whole or not at all.

        Raises
        ------
        TuningError
            If the axes' names clash with the results' columns, or the path is taken.
        """
        columns = trial_columns(manifest["problem"]["axes"], manifest["metrics"])
        metric = manifest["problem"]["metric"]
        files = {  # the manifest last: what has none is not a run
            TRIALS: _csv_line(columns),
            CURVES: _csv_line(curve_columns(metric)),
            MANIFEST: manifest_text(manifest),
        }
        try:
            if path.is_dir() and not any(path.iterdir()):
                _write_files(path, files)
            else:
                draft = path.with_name(f".{path.name}.{os.getpid()}")
                draft.mkdir(parents=True)
                try:
                    _write_files(draft, files)
                    draft.rename(path)
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise TuningError(f"cannot make the run {path}: {error.strerror}") from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run to go on with it.

        Raises
        ------
        TuningError
            If it is not a run, or another driver is writing it.
        """
        manifest = read_manifest(path)
        return cls(path, manifest, _lock(path))

    def close(self) -> None:
        """Let others write the run."""
        self._trials.close()
        self._curves.close()
        self._lock.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set_search(self, search: Mapping[str, Any]) -> None:
        """Note in the manifest that the search was extended."""
        if self.manifest["search"] != dict(search):
            self.manifest = {**self.manifest, "search": dict(search)}
            write_text(self.path / MANIFEST, manifest_text(self.manifest))

    def rows(self, outcome: Outcome, wanted_by: Iterable[tuple[str, int]]) -> list[Row]:
        """An outcome as rows, one for each (strategy, number) that asked for the trial."""
        run, configuration = self.path.absolute().name, self._grid[outcome.trial]
        return [
            row_of(outcome, configuration, run=run, strategy=strategy, number=number)
            for strategy, number in wanted_by
        ]

    def append(self, rows: list[Row], curves: Iterable[tuple[Row, list[Row]]]) -> None:
        """Count rows: when this returns they are on the disk.

        Parameters
        ----------
        rows : list of dict
        curves : iterable of (row, logs of each epoch)
            The learning curves that belong to them.

        Raises
        ------
        RunStopped
            If the disk does not take them; nothing of them is left behind.
        """
        logs = [
            {**row, "epoch": epoch, **log}
            for row, curve in curves
            for epoch, log in enumerate(curve, start=1)
        ]
        self._write(self._curves, CURVES, [_cells(log, self._curve_columns) for log in logs])
        self._write(self._trials, TRIALS, [_cells(row, self._columns) for row in rows])
        for row in rows:
            self.done.setdefault(row["strategy"], set()).add(row["trial"])

    def copy(self, wanted: Mapping[int, list[tuple[str, int]]]) -> int:
        """Count trials for a strategy that another strategy has had trained already.

        Parameters
        ----------
        wanted : mapping of int to list of (strategy, number)
            Who asks for each trial.

        Returns
        -------
        int
            The rows added.
        """
        if not wanted:
            return 0
        trained = {int(row["trial"]): row for row in self._read(TRIALS, wanted)}
        logs: dict[int, dict[str, Row]] = {}
        for log in self._read(CURVES, wanted):
            logs.setdefault(int(log["trial"]), {})[log["epoch"]] = log
        rows, curves = [], []
        for trial, askers in wanted.items():
            for strategy, number in askers:
                row = {**trained[trial], "strategy": strategy, "number": number, "trial": trial}
                rows.append(row)
                epochs = logs.get(trial, {}).values()
                curves.append(
                    (row, [{name: log[name] for name in self._curve_logs} for log in epochs])
                )
        self.append(rows, curves)
        return len(rows)

    def _read(self, name: str, trials: Container[int]) -> Iterator[Row]:
        """The lines of these trials, as text."""
        with (self.path / name).open(newline="", encoding="utf-8") as file:
            yield from (row for row in csv.DictReader(file) if int(row["trial"]) in trials)

    def _write(self, file: io.RawIOBase | Any, name: str, lines: list[list[str]]) -> None:
        if not lines:
            return
        content = "".join(map(_csv_line, lines)).encode()
        before = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(content):
                written += file.write(content[written:])
            os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                file.truncate(before)
            why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise RunStopped(f"cannot write {self.path / name}: {why}") from error

    def _recover(self) -> dict[str, set[int]]:
        """Drop what a crash left torn; return what is counted."""
        for name in (TRIALS, CURVES):
            _drop_torn_line(self.path / name)
        _check_header(self.path / TRIALS, self._columns)
        _check_header(self.path / CURVES, self._curve_columns)
        done: dict[str, set[int]] = {}
        with (self.path / TRIALS).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                try:
                    done.setdefault(row["strategy"], set()).add(int(row["trial"]))
                except ValueError:
                    raise TuningError(
                        f"{self.path / TRIALS} is damaged: {row['trial']!r} is not a trial"
                    ) from None
        _drop_uncounted(self.path / CURVES, done)
        return done


def shown(path: Path) -> Path:
    """The path as short as it works from the current directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write all of them, or none."""
    try:
        for name, text in files.items():
            write_text(folder / name, text)
    except OSError:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        raise


def _recorded(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _lock(path: Path) -> IO[str]:
    """Lock the run for this process, as long as the file returned is open."""
    import fcntl

    try:
        lock = (path / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise TuningError(f"cannot write the run {path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        owner = _recorded(path / LOCK) or "another driver"
        raise TuningError(f"{path} is being written by {owner}") from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {platform.node()}\n")
    lock.flush()
    return lock


def _cells(row: Mapping[str, Any], columns: list[str]) -> list[str]:
    return [cell_text(row.get(column)) for column in columns]


def cell_text(value: Any) -> str:
    """A value as CSV text on one line: nothing for None, escapes for what does not print."""
    if value is None:
        return ""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _check_header(path: Path, columns: list[str]) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
    if header != columns:
        raise TuningError(f"{path} is damaged: its first line does not name the run's columns")


def _drop_torn_line(path: Path) -> None:
    """Cut the file after its last whole line."""
    try:
        with path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            position = end
            while position > 0:
                start = max(0, position - 65536)
                file.seek(start)
                newline = file.read(position - start).rfind(b"\n")
                if newline >= 0:
                    position = start + newline + 1
                    break
                position = start
            if position < end:
                file.truncate(position)
    except OSError as error:
        raise TuningError(f"cannot open {path}: {error.strerror}") from error


def _drop_uncounted(path: Path, done: Mapping[str, set[int]]) -> None:
    """Rewrite the curves without those of trials that were never counted, if there are any."""

    def is_counted(row: Mapping[str, str]) -> bool:
        return row["trial"].isdigit() and int(row["trial"]) in done.get(row["strategy"], ())

    with path.open(newline="", encoding="utf-8") as file:
        if all(map(is_counted, csv.DictReader(file))):
            return
        file.seek(0)
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or [])
        kept = [_csv_line([row[column] for column in columns]) for row in reader if is_counted(row)]
    write_text(path, _csv_line(columns) + "".join(kept))
