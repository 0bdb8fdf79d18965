"""The run directory: a row for every trial, their learning curves, and one writer."""

from __future__ import annotations

import contextlib
import csv
import json
import threading
import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tuning.errors import RunStopped, TuningError, first_line
from tuning.runs.appended import Appended, drop_from_the_end
from tuning.runs.best import BestModels, model_file
from tuning.runs.columns import (
    CURVES,
    STATUSES,
    TRAINED,
    TRIALS,
    Row,
    columns_of,
    csv_line,
    curve_columns,
    key_of,
    point_of_row,
    row_of,
)
from tuning.runs.lock import LOCK, Lock
from tuning.runs.manifest import (
    FORMAT,
    MANIFEST,
    Finalists,
    Manifest,
    atomic_directory,
    cannot_write,
    differences,
    read_manifest,
    write_text,
)
from tuning.samplers import gives_each_once
from tuning.space.grid import Grid
from tuning.trial import KeptModel, Outcome, Spent, Trial, epochs, point_of

LENT = ("ok", "stopped", "diverged")  # of a trial that another run has trained as well
SPENT = "spent.json"
SPENT_EVERY_SECONDS = 1.0


class Run:
    """A run directory, open to be written by one driver.

    Rows are appended in one write and flushed to the disk before they count. A line that a crash
    cut short is dropped when the run is opened again, as are learning curves whose trial was not
    counted.

    Attributes
    ----------
    path : Path
    manifest : Manifest
    best : BestModels
        The models of the best trials.
    taken_over_from : str
        The driver that died while it wrote the run; else empty.
    """

    def __init__(self, path: Path, manifest: Manifest, lock: Lock) -> None:
        self.path = path
        self.manifest = manifest
        self.taken_over_from = lock.taken_over_from
        self._lock = lock
        self._writing = threading.Lock()
        self._space = manifest.space
        self._metric = manifest.problem.metric
        self._name = path.absolute().name
        self._columns = columns_of(manifest)
        self.best = self._no_models()
        self._points: dict[str, dict[int, int | str]] = {}
        self._trained: set[Hashable] = set()
        self._earlier: Path | None = None
        self._borrowed: set[Hashable] = set()
        self._spent = read_spent(path)
        self._spent_written = time.monotonic()
        self._recover()
        self.best.settle()

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> Run:
        """Make a new run; it appears whole or not at all.

        Raises
        ------
        TuningError
            If the axes' names clash with the results' columns, or the path is taken.
        """
        files = {  # the manifest last: what has none is not a run
            TRIALS: csv_line(columns_of(manifest)),
            CURVES: csv_line(curve_columns(manifest.problem.metric)),
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
        return sum(map(len, self._points.values()))

    def close(self) -> None:
        """Let others write the run, once what is being written is on the disk."""
        with self._writing, contextlib.suppress(RunStopped):  # the rows are what counts
            if self._spent:
                self._write_spent()
        with self._writing:
            self._trials.close()
            self._curves.close()
            self._lock.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise RunStopped if another driver has taken the run over."""
        self._lock.check()

    def extend(
        self,
        strategies: Mapping[str, Mapping[str, Any]],
        keep: int,
        budget: Mapping[str, Any] | None = None,
        finalists: Finalists | None = None,
    ) -> None:
        """Note in the manifest that the search was extended, or keeps or repeats more.

        Raises
        ------
        RunStopped
            If the disk does not take it.
        """
        own = {name: dict(settings) for name, settings in strategies.items()}
        old = self.manifest
        limits = old.budget if budget is None else dict(budget)
        finals = old.finalists if finalists is None else finalists
        new = replace(old, strategies=own, keep=keep, budget=limits, finalists=finals)
        if new != old:
            self.manifest = new
            try:
                write_text(self.path / MANIFEST, new.text())
            except OSError as error:
                raise RunStopped(cannot_write(self.path / MANIFEST, error)) from error
        if new.keep != old.keep:
            self.best = self._best_of_all()
            self.best.settle()

    def point(self, strategy: str, number: int) -> int | str | None:
        """Which configuration was counted as a strategy's trial of that number; None if none."""
        return self._points.get(strategy, {}).get(number)

    def has(self, trial: Trial) -> bool:
        """Whether any strategy has the trial counted, trained as long; or the run borrowed from."""
        key = trial.point, trial.epochs
        return key in self._trained or key in self._borrowed

    def borrow(self, earlier: Path) -> None:
        """Take trials that another run has for trained, if it is of the same trainings.

        They are copied once they are asked for. It is the same where the problem, its data, the
        seed and all else are that a resume asks for.

        Raises
        ------
        TuningError
            If it is no run, or its table is damaged.
        """
        if differences(read_manifest(earlier), self.manifest):
            return
        self._earlier = earlier
        self._borrowed = {
            (each.trial.point, each.trial.epochs)
            for each in self._outcomes_in(earlier)
            if each.status in LENT
        }

    def outcomes(self, strategy: str) -> dict[int, Outcome]:
        """What is counted for a strategy, by the trials' numbers.

        Raises
        ------
        TuningError
            If the table is damaged.
        """
        from tuning.runs.outcomes import outcomes_of
        from tuning.runs.table import load_results

        table = load_results(self.path)
        own = outcomes_of(table[table["strategy"] == strategy], self.manifest)
        return {outcome.trial.number: outcome for outcome in own}

    def history(self, strategies: Collection[str]) -> Iterator[Outcome]:
        """What is counted for strategies, in the order in which it was.

        Raises
        ------
        TuningError
            If the table is damaged.
        """
        with (self.path / TRIALS).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["strategy"] in strategies:
                    score = row[self._metric]
                    metrics = {self._metric: float(score)} if score else {}
                    trial = Trial(int(row["trial"]), {}, int(row["seed"]))
                    status: Any = row["status"]
                    yield Outcome(trial, status, row["engine"], row["backend"], metrics)

    def spent(self, strategies: Collection[str]) -> Spent:
        """What strategies have spent so far, of which the one that spent most."""
        known = self._spent.values() if not strategies else map(self._spent.get, strategies)
        found = [each for each in known if each is not None]
        return replace(max(found, key=lambda each: each.seconds)) if found else Spent()

    def spend(self, strategies: Collection[str], spent: Spent) -> None:
        """Note what strategies have spent, so that a search that goes on knows it.

        It is on the disk a second later at most, or when the run is closed.

        Raises
        ------
        RunStopped
            If the disk does not take it.
        """
        self._spent |= {name: replace(spent) for name in strategies}
        if time.monotonic() - self._spent_written >= SPENT_EVERY_SECONDS:
            self._write_spent()

    def _write_spent(self) -> None:
        self._spent_written = time.monotonic()
        content = {name: asdict(own) for name, own in self._spent.items()}
        try:
            write_text(self.path / SPENT, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise RunStopped(cannot_write(self.path / SPENT, error)) from error

    def bars(self) -> dict[str, tuple[tuple[float, int], ...]]:
        """The scores and numbers of the trials whose models are kept, by strategy."""
        return self.best.bars()

    def keep(self, models: Sequence[KeptModel]) -> None:
        """Keep models of the best trials; to be called before these are counted."""
        if not models:
            return
        self._lock.check()
        self.best.write(models)

    def count(self, outcomes: Sequence[tuple[str, Outcome]]) -> None:
        """Count outcomes, each for a strategy: when this returns they are on the disk.

        Raises
        ------
        RunStopped
            If the disk does not take them, or another driver has taken the run over; nothing of
            them is left behind.
        """
        rows = [row_of(self._name, strategy, outcome) for strategy, outcome in outcomes]
        curves = [
            {**key_of(self._name, strategy, outcome), "epoch": epoch, **log}
            for strategy, outcome in outcomes
            for epoch, log in enumerate(outcome.curve, start=1)
        ]
        self.append(rows, curves)

    def append(self, rows: Sequence[Row], curves: Sequence[Row]) -> None:
        """Count rows as they are: when this returns they are on the disk.

        Parameters
        ----------
        rows, curves : sequence of dict
            Of trials.csv, and of curves.csv for the same trials.

        Raises
        ------
        RunStopped
            As `count`.
        """
        self._lock.check()
        with self._writing:
            self._curves.append(curves)
            self._trials.append(rows)
            for row in rows:
                strategy, number = row["strategy"], int(row["trial"])
                self._note(strategy, number, point_of_row(row, self._space), _length(row))
                if row["status"] == "ok":
                    self.best.rank(strategy, number, float(row[self._metric]))
            self.best.settle()

    def copy(self, wanted: Sequence[tuple[str, Trial]]) -> list[tuple[str, Outcome]]:
        """Count trials for a strategy that another strategy, or the earlier run, has trained.

        Parameters
        ----------
        wanted : sequence of (str, Trial)
            Strategies, and the trials they ask for.

        Returns
        -------
        list of (str, Outcome)
            What was counted.
        """
        points = {trial.point for _, trial in wanted}
        known: dict[Hashable, Outcome] = {}
        if self._earlier and any((t.point, t.epochs) not in self._trained for _, t in wanted):
            lent = self._outcomes_in(self._earlier, points)
            known = {(e.trial.point, e.trial.epochs): e for e in lent if e.status in LENT}
        for each in self._outcomes_in(self.path, points):
            known[each.trial.point, each.trial.epochs] = each
        copies = [
            (strategy, replace(known[trial.point, trial.epochs], trial=trial))
            for strategy, trial in wanted
        ]
        self.count(copies)
        return copies

    def _outcomes_in(
        self, run: Path, points: Collection[Hashable] | None = None
    ) -> Iterator[Outcome]:
        """The outcomes of a run like this one; with points those of these, with their curves."""
        from tuning.runs.outcomes import outcomes_of
        from tuning.runs.table import load_curves, load_results, points_of

        table = load_results(run)
        if points is None:
            return outcomes_of(table, self.manifest)
        rows = table[points_of(table, self._space).isin(points)]
        return outcomes_of(rows, self.manifest, load_curves(run))

    def completed(self, counted: Sequence[tuple[str, Outcome]]) -> list[Outcome]:
        """The outcomes themselves: each is a trial."""
        return [outcome for _, outcome in counted]

    def share_models(self) -> None:
        """Have a strategy that lacks the model of one of its best trials take another's.

        Raises
        ------
        RunStopped
            If the disk does not take it.
        """
        missing = self.best.missing()
        kept = {
            self.point(strategy, number): file
            for strategy, own in self.bars().items()
            for _, number in own
            if (strategy, number) not in missing
            and (file := model_file(self.path, strategy, number)) is not None
        }
        for strategy, number in missing:
            if (file := kept.get(self.point(strategy, number))) is not None:
                try:
                    self.best.adopt(strategy, number, file)
                except OSError as error:
                    raise RunStopped(cannot_write(file.parent, error)) from error

    def _no_models(self) -> BestModels:
        problem = self.manifest.problem
        return BestModels(self.path, self.manifest.keep, problem.metric, problem.mode)

    def _best_of_all(self) -> BestModels:
        """The models of the best, where another number of them is to be kept than before."""
        best = self._no_models()
        with (self.path / TRIALS).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["status"] == "ok":
                    best.rank(row["strategy"], int(row["trial"]), float(row[self._metric]))
        return best

    def _note(self, strategy: str, number: int, point: int | str, n_epochs: int) -> None:
        self._points.setdefault(strategy, {})[number] = point
        self._trained.add((point, n_epochs))

    def _recover(self) -> None:
        """Drop what a crash left torn, and note what is counted."""
        curves = curve_columns(self._metric)
        try:
            self._trials = Appended(self.path / TRIALS, self._columns)
            self._curves = Appended(self.path / CURVES, curves)
            self._note_counted(self.path / TRIALS)
            drop_from_the_end(self.path / CURVES, curves, self._is_counted)
        except OSError as error:
            raise TuningError(f"cannot open the run {self.path}: {error.strerror}") from error

    def _is_counted(self, row: Mapping[str, str]) -> bool:
        """Whether a row of curves.csv is of a trial that is counted: others were written before."""
        return int(row["trial"]) in self._points.get(row["strategy"], ())

    def _note_counted(self, path: Path) -> None:
        """Note the trials of a table whose rows are whole, this run's, and not there twice."""
        names = ("strategy", "trial", "index", "seed", "status", self._metric)
        strategy, trial, index, seed, status, score = map(self._columns.index, names)
        lengths = {
            name: self._columns.index(name)
            for name in ("epochs", TRAINED, "status")
            if name in self._columns
        }
        own_seed = str(self.manifest.seed)
        seen: dict[str, set[int | str]] = {}
        n = 0
        try:
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.reader(file)
                next(reader)
                for n, row in enumerate(reader, start=1):
                    number, point = int(row[trial]), self._point_of_cells(row, index)
                    right = len(row) == len(self._columns) and row[seed] == own_seed
                    right = right and row[strategy].isidentifier()  # it names files as well
                    if not right or row[status] not in STATUSES:
                        raise ValueError
                    known = seen.setdefault(row[strategy], set())
                    again = number in self._points.get(row[strategy], ())
                    if again or (point in known and gives_each_once(row[strategy])):
                        what = f"trial {number}" if again else _named(point)
                        raise TuningError(f"{path} has {what} a second time, in row {n:,}")
                    known.add(point)
                    length = _length({name: row[place] for name, place in lengths.items()})
                    self._note(row[strategy], number, point, length)
                    if row[status] == "ok":
                        self.best.rank(row[strategy], number, float(row[score]))
        except TuningError:
            raise
        except (ValueError, IndexError, csv.Error):
            raise TuningError(f"{path} is damaged in row {max(1, n):,} or behind it") from None

    def _point_of_cells(self, row: Sequence[str], index: int) -> int | str:
        """The point of a row, from its cells' text; ValueError if the space has none such."""
        if isinstance(self._space, Grid):
            point = int(row[index])
            if not 0 <= point < self._space.size:
                raise ValueError(point)
            return point
        if row[index]:
            raise ValueError(row[index])
        return point_of(self._space.read(dict(zip(self._columns, row, strict=True))))


def _named(point: int | str) -> str:
    return f"index {point}" if isinstance(point, int) else f"the configuration {point}"


def read_spent(path: Path) -> dict[str, Spent]:
    """What each strategy of a run has spent, by its name; empty where it was not noted.

    Raises
    ------
    TuningError
        If the file is damaged.
    """
    file = path / SPENT
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {
            name: Spent(float(own["seconds"]), int(own["epochs"])) for name, own in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TuningError(f"{file} is damaged: {first_line(error)}") from error


def _length(row: Mapping[str, Any]) -> int:
    """The epochs of the trial that a row is of: fewer than its configuration's if it stopped."""
    if row["status"] == "stopped":
        return int(row[TRAINED])
    return epochs({name: row[name] for name in ("epochs",) if row.get(name) not in (None, "")})


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
