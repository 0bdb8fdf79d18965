"""The parts of a run's trials: a training for each fold and seed, whose mean a trial is."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.runs.appended import Appended, read_rows
from tuning.runs.columns import (
    STATUSES,
    TRAINED,
    columns_of,
    configuration_of_cells,
    curve_columns,
    row_of,
)
from tuning.runs.manifest import Manifest, cannot_write, read_manifest
from tuning.runs.run import Run
from tuning.samplers.repeated import Copies, mean_of
from tuning.trial import KeptModel, Outcome, Spent, Trial, epochs

if TYPE_CHECKING:
    import pandas as pd

PARTS, PART_CURVES = "parts.csv", "part_curves.csv"
FOLD = "fold"

Counted = tuple[str, Outcome]


class Parts:
    """The tables ``parts.csv`` and ``part_curves.csv`` of an open run, and its trials.

    A trial is counted in the run once all of its parts are counted here, with their means. Rows
    are appended and flushed to the disk before they count; curves before their rows, and the rows
    of parts before that of their trial, so that nothing counted lacks what it is made of.

    Parameters
    ----------
    run : Run
        Open, so that nobody else writes it.

    Raises
    ------
    TuningError
        If a table is damaged, or cannot be written.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._copies = run.manifest.copies
        self._name = run.path.absolute().name
        self._known: dict[str, dict[int, Outcome]] = {}
        self._trained: dict[Hashable, Outcome] = {}
        self._new: list[Counted] = []
        columns = columns_of(run.manifest), curve_columns(run.manifest.problem.metric)
        try:
            self._rows, self._curves = (
                Appended(run.path / name, with_fold(own), make=True)
                for name, own in zip((PARTS, PART_CURVES), columns, strict=True)
            )
        except OSError as error:
            raise TuningError(cannot_write(run.path / PARTS, error)) from error
        for strategy, outcome in read_parts(run.path, run.manifest):
            self._note(strategy, outcome)
        self._opened = {name: dict(own) for name, own in self._known.items()}
        self._run.count(
            self._whole([(name, o) for name, own in self._known.items() for o in own.values()])
        )

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rows.close()
        self._curves.close()

    def point(self, strategy: str, number: int) -> int | str | None:
        """Which configuration was counted as a strategy's part of that number; None if none."""
        outcome = self._known.get(strategy, {}).get(number)
        return None if outcome is None else outcome.trial.point

    def has(self, trial: Trial) -> bool:
        """Whether any strategy has the part counted."""
        return trial.key in self._trained

    def outcomes(self, strategy: str) -> Mapping[int, Outcome]:
        """The parts that were counted for a strategy before, by number."""
        return self._opened.get(strategy, {})

    def bars(self) -> Mapping[str, Sequence[tuple[float, int]]]:
        """Nothing: models are trained on all rows once the search has ended."""
        return {}

    def keep(self, models: Sequence[KeptModel]) -> None:
        """Do nothing, as `bars`."""

    def history(self, strategies: Collection[str]) -> Iterable[Outcome]:
        """The trials that are counted for strategies, in the order in which they were."""
        return self._run.history(strategies)

    def spend(self, strategies: Collection[str], spent: Spent) -> None:
        """Note what strategies have spent."""
        self._run.spend(strategies, spent)

    def spent(self, strategies: Collection[str]) -> Spent:
        """What strategies have spent so far."""
        return self._run.spent(strategies)

    def count(self, outcomes: Sequence[Counted]) -> None:
        """Count parts, and the trials whose last parts they are.

        Raises
        ------
        RunStopped
            If the disk does not take them, or another driver has taken the run over.
        """
        self._run.check()
        rows, curves = [], []
        for strategy, outcome in outcomes:
            row = self._numbered(row_of(self._name, strategy, outcome), outcome)
            rows.append(row)
            key = {name: row[name] for name in self._curves.columns if name in row}
            curves += [
                {**key, "epoch": epoch, **log} for epoch, log in enumerate(outcome.curve, start=1)
            ]
        self._curves.append(curves)
        self._rows.append(rows)
        for strategy, outcome in outcomes:
            self._note(strategy, outcome)
        whole = self._whole(outcomes)
        self._run.count(whole)
        self._new += whole

    def copy(self, wanted: Sequence[tuple[str, Trial]]) -> list[Counted]:
        """Count parts for a strategy that another strategy has had trained already."""
        found = [(name, replace(self._trained[trial.key], trial=trial)) for name, trial in wanted]
        self.count(found)
        return found

    def completed(self, counted: Sequence[Counted]) -> list[Outcome]:
        """The trials of which all parts are counted since this was asked for last."""
        found, self._new = [outcome for _, outcome in self._new], []
        return found

    def _numbered(self, row: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
        number = self._copies.trial(outcome.trial.number)
        return {**row, "trial": number, FOLD: outcome.trial.fold}

    def _note(self, strategy: str, outcome: Outcome) -> None:
        self._known.setdefault(strategy, {})[outcome.trial.number] = outcome
        self._trained[outcome.trial.key] = outcome

    def _whole(self, outcomes: Iterable[Counted]) -> list[Counted]:
        """The means of those trials of which these are parts, and all parts are counted."""
        size = self._copies.size
        numbers = {(name, self._copies.trial(each.trial.number)) for name, each in outcomes}
        found = []
        for name, trial in sorted(numbers):
            if self._run.point(name, trial) is not None:
                continue
            own = self._known[name]
            parts = [own[n] for n in range(trial * size, (trial + 1) * size) if n in own]
            if len(parts) == size:
                first = replace(parts[0].trial, number=trial, fold=None)
                found.append((name, mean_of(first, parts)))
        return found


def with_fold(columns: Sequence[str]) -> list[str]:
    """Columns of a run's tables, with that of the fold behind the seed."""
    place = list(columns).index("seed") + 1
    return [*columns[:place], FOLD, *columns[place:]]


def load_parts(path: str | Path) -> pd.DataFrame:
    """The parts of a run's trials: a row for each fold and each seed.

    Parameters
    ----------
    path : str or Path
        A run directory.

    Returns
    -------
    DataFrame
        One row a training, in the order of strategies and trials, with the columns of
        `tuning.load_results` and ``fold``, from 0, None without folds. Empty if each trial of the
        run is one training.

    Raises
    ------
    TuningError
        If the directory is not a run, or the table is damaged.
    """
    import pandas as pd

    manifest, path = read_manifest(path), Path(path)
    copies, columns, rows = manifest.copies, with_fold(columns_of(manifest)), []
    for strategy, outcome in read_parts(path, manifest):
        trial = outcome.trial
        row = row_of(path.absolute().name, strategy, outcome)
        rows.append({**row, "trial": copies.trial(trial.number), FOLD: trial.fold})
    table = pd.DataFrame(rows, None, columns)
    return table.sort_values(["strategy", "trial", "seed", FOLD], kind="stable", ignore_index=True)


def read_parts(path: Path, manifest: Manifest) -> list[Counted]:
    """The parts that a run has counted, in the order in which they were.

    Raises
    ------
    TuningError
        If a table is damaged.
    """
    copies, curves = manifest.copies, _read_curves(path / PART_CURVES, manifest)
    known: set[tuple[str, int]] = set()

    def read(row: dict[str, str]) -> Counted:
        strategy, outcome = _outcome(row, manifest, copies, curves)
        key = strategy, outcome.trial.number
        if key in known:
            raise ValueError(key)
        known.add(key)
        return strategy, outcome

    return read_rows(path / PARTS, with_fold(columns_of(manifest)), read)


def _outcome(
    row: Mapping[str, str], manifest: Manifest, copies: Copies, curves: Mapping[Hashable, Any]
) -> Counted:
    """What a row of parts.csv is of; ValueError if there is no such part."""
    space, names = manifest.space, list(row)
    configuration = configuration_of_cells(row, space)
    seed, fold = int(row["seed"]), int(row[FOLD]) if row[FOLD] else None
    status: Any = row["status"]
    right = 0 <= seed - manifest.seed < manifest.repeats
    right = right and (fold is None) == (not manifest.folds)
    if not right or status not in STATUSES or (fold or 0) >= max(1, manifest.folds):
        raise ValueError(row)
    scores = names[names.index("status") + 1 : names.index("train_seconds")]
    length = int(row[TRAINED]) if status == "stopped" else epochs(configuration)
    number = copies.number(int(row["trial"]), seed, fold)
    trial = Trial(number, configuration, seed, length, space.place(configuration), fold)
    outcome = Outcome(
        trial,
        status,
        row["engine"],
        row["backend"],
        {name: float(row[name]) for name in scores if row[name]},
        curves.get((row["strategy"], number), []),
        float(row["train_seconds"]),
        error=row["error"],
        worker=row["worker"],
        finished_at=row["finished_at"],
    )
    return row["strategy"], outcome


def _read_curves(file: Path, manifest: Manifest) -> dict[Hashable, list[dict[str, float]]]:
    """The learning curves of parts, by strategy and the part's number."""
    copies = manifest.copies
    columns = with_fold(curve_columns(manifest.problem.metric))
    names = columns[columns.index("epoch") + 1 :]
    found: dict[Hashable, list[dict[str, float]]] = {}

    def read(row: dict[str, str]) -> None:
        fold = int(row[FOLD]) if row[FOLD] else None
        number = copies.number(int(row["trial"]), int(row["seed"]), fold)
        own = found.setdefault((row["strategy"], number), [])
        del own[int(row["epoch"]) - 1 :]  # of a part that was not counted before
        own.append({name: float(row[name]) for name in names})

    read_rows(file, columns, read)
    return found
