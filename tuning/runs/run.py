"""The run directory's tables: a row for every trial, and their learning curves."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import errno
import io
import os
import shutil
import sys
import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tuning.errors import RunStopped, TuningError
from tuning.runs.lock import LOCK, Lock
from tuning.runs.manifest import (
    FORMAT,
    MANIFEST,
    Manifest,
    Strategies,
    atomic_directory,
    read_manifest,
    write_text,
)
from tuning.space.grid import Row
from tuning.trial import Outcome

TRIALS = "trials.csv"
CURVES = "curves.csv"

KEY = ("run", "strategy", "trial", "index", "seed")
STATUSES = ("ok", "diverged", "failed", "timeout")
AFTER_METRICS = (
    "train_seconds",
    "engine",
    "backend",
    "worker",
    "finished_at",
    "error",
)
FORMULA = ("=", "+", "-", "@")
OF_COMPARISON = ("trials", "total_epochs", "total_cpu_seconds")  # columns beside the axes there


def trial_columns(
    axes: Iterable[str], metrics: Iterable[str], *, has_test: bool = True
) -> list[str]:
    """The columns of trials.csv, in order.

    Raises
    ------
    TuningError
        If an axis has the name of another column, or one that a spreadsheet takes for a formula.
    """
    splits = ("val", "test", "train") if has_test else ("val", "train")
    scores = [f"{split}_{name}" for split in splits for name in metrics]
    others = {*KEY, "status", *scores, *AFTER_METRICS, *OF_COMPARISON}
    for axis in axes:
        if axis in others:
            raise TuningError(f"an axis cannot be called {axis!r}: the results have such a column")
        if cell_text(axis) != axis:
            raise TuningError(
                f"an axis cannot be called {axis!r}: a spreadsheet takes that for a formula "
                "(let it begin with a letter)"
            )
    return [*KEY, *axes, "status", *scores, *AFTER_METRICS]


def columns_of(manifest: Manifest) -> list[str]:
    """The columns of a run's trials.csv, in order.

    Raises
    ------
    TuningError
        As `trial_columns`.
    """
    return trial_columns(manifest.problem.axes, manifest.metrics, has_test=manifest.has_test)


def curve_columns(metric: str) -> list[str]:
    """The columns of curves.csv: the losses, and the metric that chooses."""
    return list(dict.fromkeys([*KEY, "epoch", "loss", "val_loss", metric]))


def row_of(outcome: Outcome, *, run: str, strategy: str, number: int) -> Row:
    """An outcome as a strategy's row in trials.csv, the strategy's trial of this number."""
    return {
        "run": run,
        "strategy": strategy,
        "trial": number,
        "index": outcome.trial.index,
        "seed": outcome.trial.seed,
        **outcome.trial.configuration,
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
    manifest : Manifest
    done : dict of str to set of int
        The grid indices counted so far, by strategy.
    taken_over_from : str
        The driver that died while it wrote the run; else empty.
    """

    def __init__(self, path: Path, manifest: Manifest, lock: Lock) -> None:
        self.path = path
        self.manifest = manifest
        self.taken_over_from = lock.taken_over_from
        self._lock = lock
        self._writing = threading.Lock()
        grid = manifest.grid
        self._columns = columns_of(manifest)
        self._curve_columns = curve_columns(manifest.problem.metric)
        self._curve_logs = self._curve_columns[self._curve_columns.index("epoch") + 1 :]
        self._grid = grid
        self.done = self._recover()
        self._trials = (path / TRIALS).open("ab", buffering=0)
        self._curves = (path / CURVES).open("ab", buffering=0)

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> Run:
        """Make a new run; it appears whole or not at all.

        Raises
        ------
        TuningError
            If the axes' names clash with the results' columns, or the path is taken.
        """
        files = {  # the manifest last: what has none is not a run
            TRIALS: _csv_line(columns_of(manifest)),
            CURVES: _csv_line(curve_columns(manifest.problem.metric)),
            MANIFEST: manifest.text(),
        }
        try:
            if path.is_dir() and not any(path.iterdir()):  # the current one, or a disk's own
                _write_files(path, files)
            else:
                with atomic_directory(path) as draft:
                    _write_files(draft, files)
        except OSError as error:
            raise TuningError(f"cannot make the run {path}: {error.strerror}") from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run to go on with it.

        Raises
        ------
        TuningError
            If it is not a run, its tables are damaged, or another driver is writing it.
        """
        manifest = read_manifest(path)
        if manifest.format != FORMAT:
            raise TuningError(
                f"{path} was made by an earlier version, so that it can be read, but not gone on "
                f"with: merge {path} NEW makes a run of it that can be"
            )
        lock = Lock(path)
        try:
            return cls(path, manifest, lock)
        except BaseException:
            lock.close()
            raise

    @property
    def counted(self) -> int:
        """The rows counted so far, of all strategies."""
        return sum(map(len, self.done.values()))

    def close(self) -> None:
        """Let others write the run, once what is being written is on the disk."""
        with self._writing:
            self._trials.close()
            self._curves.close()
            self._lock.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set_strategies(self, strategies: Strategies) -> None:
        """Note in the manifest that the search was extended."""
        if self.manifest.strategies != strategies:
            self.manifest = dataclasses.replace(self.manifest, strategies=strategies)
            try:
                write_text(self.path / MANIFEST, self.manifest.text())
            except OSError as error:
                raise RunStopped(cannot_write(self.path / MANIFEST, error)) from error

    def rows(self, outcome: Outcome, wanted_by: Iterable[tuple[str, int]]) -> list[Row]:
        """An outcome as rows, one for each (strategy, number) that asked for the trial."""
        run = self.path.absolute().name
        return [
            row_of(outcome, run=run, strategy=strategy, number=number)
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
            If the disk does not take them, or another driver has taken the run over; nothing of
            them is left behind.
        """
        self._lock.check()
        logs = [
            {**row, "epoch": epoch, **log}
            for row, curve in curves
            for epoch, log in enumerate(curve, start=1)
        ]
        with self._writing:
            self._write(self._curves, CURVES, [_cells(log, self._curve_columns) for log in logs])
            self._write(self._trials, TRIALS, [_cells(row, self._columns) for row in rows])
            for row in rows:
                self.done.setdefault(row["strategy"], set()).add(row["index"])

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
        trained = {int(row["index"]): row for row in self._read(TRIALS, wanted)}
        logs: dict[int, dict[str, Row]] = {}
        for log in self._read(CURVES, wanted):
            logs.setdefault(int(log["index"]), {})[log["epoch"]] = log
        rows, curves = [], []
        for index, askers in wanted.items():
            for strategy, number in askers:
                row = {**trained[index], "strategy": strategy, "trial": number, "index": index}
                rows.append(row)
                epochs = logs.get(index, {}).values()
                curves.append(
                    (row, [{name: log[name] for name in self._curve_logs} for log in epochs])
                )
        self.append(rows, curves)
        return len(rows)

    def _read(self, name: str, indices: Container[int]) -> Iterator[Row]:
        """The lines of these trials, as text."""
        with (self.path / name).open(newline="", encoding="utf-8") as file:
            yield from (row for row in csv.DictReader(file) if int(row["index"]) in indices)

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
            raise RunStopped(cannot_write(self.path / name, error)) from error

    def _recover(self) -> dict[str, set[int]]:
        """Drop what a crash left torn; return what is counted."""
        trials, curves = self.path / TRIALS, self.path / CURVES
        try:
            _drop_torn_line(trials)
            _drop_torn_line(curves)
            _check_header(trials, self._columns)
            _check_header(curves, self._curve_columns)
            done = self._counted(trials)
            _drop_uncounted(curves, self._curve_columns, done)
        except OSError as error:
            raise TuningError(f"cannot open the run {self.path}: {error.strerror}") from error
        return done

    def _counted(self, path: Path) -> dict[str, set[int]]:
        """The trials of a table whose rows are whole, this run's, and not there twice."""
        names = ("strategy", "trial", "index", "seed", "status")
        strategy, trial, index, seed, status = map(self._columns.index, names)
        own_seed, size = str(self.manifest.seed), self._grid.size
        done: dict[str, set[int]] = {}
        numbers: dict[str, set[int]] = {}
        n = 0
        try:
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.reader(file)
                next(reader)
                for n, row in enumerate(reader, start=1):
                    counted = int(row[index])
                    right = len(row) == len(self._columns) and row[seed] == own_seed
                    if not right or row[status] not in STATUSES or not 0 <= counted < size:
                        raise ValueError
                    for what, value, own in (
                        ("index", counted, done.setdefault(row[strategy], set())),
                        ("trial", int(row[trial]), numbers.setdefault(row[strategy], set())),
                    ):
                        if value in own:
                            raise TuningError(
                                f"{path} has {what} {value} a second time, in row {n:,}"
                            )
                        own.add(value)
        except TuningError:
            raise
        except (ValueError, IndexError, csv.Error):
            raise TuningError(f"{path} is damaged in row {max(1, n):,} or behind it") from None
        return done


def own_python() -> str:
    """This Python as short as a command line finds it from the current directory."""
    own = Path(sys.executable)
    found = shutil.which("python")
    return "python" if found and Path(found).parent == own.parent else str(shown(own))


def shown(path: Path) -> Path:
    """The path as short as it works from the current directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def cannot_write(path: Path, error: OSError) -> str:
    """A sentence that says why a file could not be written."""
    full = error.errno == errno.ENOSPC
    return f"cannot write {path}: {'the disk is full' if full else error.strerror or error}"


def _write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write all of them, or none."""
    lock = Lock(folder)
    try:
        for name, text in files.items():
            write_text(folder / name, text)
    except BaseException:
        for name in (*files, LOCK):
            (folder / name).unlink(missing_ok=True)
        raise
    finally:
        lock.close()


def _cells(row: Mapping[str, Any], columns: list[str]) -> list[str]:
    return [cell_text(row.get(column)) for column in columns]


def cell_text(value: Any) -> str:
    """A value as CSV text on one line: nothing for None, escapes for what does not print.

    What a spreadsheet would take for a formula has an apostrophe before it (OWASP, "CSV
    Injection"); a number does not.
    """
    if value is None:
        return ""
    text = str(value)
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    if text.startswith(FORMULA) and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _check_header(path: Path, columns: list[str]) -> None:
    with path.open("rb") as file:
        header = file.readline()
    if header != _csv_line(columns).encode():
        raise TuningError(f"{path} is damaged: its first line does not name the run's columns")


def _lines_from_the_end(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, last first, each with the place where it begins."""
    end = file.seek(0, os.SEEK_END)
    rest = b""
    while end > 0:
        start = max(0, end - 65536)
        file.seek(start)
        rest = file.read(end - start) + rest
        lines = rest.splitlines(keepends=True)
        at = start + len(rest)
        for line in reversed(lines if start == 0 else lines[1:]):
            at -= len(line)
            yield at, line
        rest, end = lines[0], start


def _drop_torn_line(path: Path) -> None:
    """Cut the file after its last whole line."""
    with path.open("r+b") as file:
        at, line = next(_lines_from_the_end(file), (0, b"\n"))
        if not line.endswith(b"\n"):
            file.truncate(at)


def _drop_uncounted(path: Path, columns: list[str], done: Mapping[str, set[int]]) -> None:
    """Cut the curves of trials that were never counted: they are the last, as written before."""
    strategy, index = columns.index("strategy"), columns.index("index")
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        for at, line in _lines_from_the_end(file):
            try:
                cells = next(csv.reader([line.decode()]))
                counted = at == 0 or int(cells[index]) in done.get(cells[strategy], ())
            except (ValueError, IndexError, csv.Error):
                counted = False
            if counted:
                break
            end = at
        file.truncate(end)
