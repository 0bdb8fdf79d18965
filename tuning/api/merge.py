"""The join of several runs of one search: its shards, or parts that several machines trained."""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.console import Console

from tuning.api.settings import known_of
from tuning.errors import RunStopped, TuningError
from tuning.runs.best import model_file
from tuning.runs.columns import Row
from tuning.runs.manifest import (
    FORMAT,
    MANIFEST,
    Manifest,
    Strategies,
    atomic_directory,
    differences,
    read_manifest,
)
from tuning.runs.run import Run
from tuning.runs.table import ROWS_AT_ONCE, as_cells, load_curves, load_results, points_of
from tuning.runs.typed import shown, typed
from tuning.samplers import Sampler, every_trial, samplers_of

if TYPE_CHECKING:
    import pandas as pd

Key: TypeAlias = tuple[str, int | str]
"""A strategy, and a trial's configuration, or its number as text."""

DONE = ("ok", "stopped")
ROUNDING = 1e-4  # of a result, relative, between packs


def merge(runs: Sequence[Path], out: Path, console: Console) -> None:
    """Join runs of the same problem, seed and engine into a new run, which can be resumed.

    A trial that several of them have is taken from the first in which it is ``ok``; if it is in
    none, from the first that has it. Of a strategy that learns from outcomes, which may have a
    configuration trained further again, a trial is its number; of others, its configuration.

    Parameters
    ----------
    runs : sequence of Path
        Run directories, or directories that hold some.
    out : Path
        The run to make; it appears whole or not at all.
    console : rich.console.Console
        For a summary of the result.

    Raises
    ------
    TuningError
        If one is not a run, is damaged, or differs in problem, seed or engine from the first; or if
        `out` is taken.
    """
    if out.exists():
        raise TuningError(f"{out} is there already: name a new directory")
    folders = list(_folders(runs))
    manifests = [read_manifest(folder) for folder in folders]
    for folder, manifest in zip(folders[1:], manifests[1:], strict=True):
        if found := differences(manifests[0], manifest):
            raise TuningError(f"{folders[0]} and {folder} differ: of the first, {found[0]}")
    first, strategies = manifests[0], _joined(manifests, folders)
    manifest = replace(first, strategies=strategies, shard="", published=None, format=FORMAT)
    numbers: dict[str, Mapping[int | str, int]] = {
        name: {trial.point: trial.number for trial in every_trial(sampler)}
        for name, sampler in _samplers(manifest).items()
    }
    tables = [load_results(folder) for folder in folders]
    keys = [_keys(table, manifest, numbers) for table in tables]
    owner = _owners(tables, keys)
    try:
        with atomic_directory(out) as draft, Run.create(draft, manifest) as run:
            for i, (folder, table) in enumerate(zip(folders, tables, strict=True)):
                _add(
                    run, table, load_curves(folder), name=out.absolute().name, numbers=numbers,
                    keys=keys[i], own={key for key, of in owner.items() if of == i},
                )  # fmt: skip
            _adopt_models(run, folders, tables, keys)
    except RunStopped as error:
        raise TuningError(f"cannot make {out}: {error}") from error
    except OSError as error:
        raise TuningError(f"cannot make {out}: {error.strerror}") from error
    there, wanted = len(owner), sum(map(len, numbers.values()))
    console.print(
        f"{len(folders):,} runs are joined: {there:,} trials are in {shown(out)}/.",
        soft_wrap=True,
    )
    if more := sum(map(len, tables)) - there:
        console.print(f"{more:,} rows were of trials that another run has as well.")
        metric = manifest.problem.metric
        if apart := _apart(tables, keys, metric):
            console.print(
                f"{apart:,} of these trials differ in {metric} by more than rounding: what is kept "
                "is the first's.",
                soft_wrap=True,
            )
    if there < wanted:
        console.print(
            f"{wanted - there:,} trials of the search are missing: "
            f"{shlex.join([*typed('run'), '--out', str(shown(out))])} trains them.",
            soft_wrap=True,
        )


def _samplers(manifest: Manifest) -> dict[str, Sampler]:
    """The strategies of a run that know their trials beforehand."""
    found = samplers_of(manifest.strategies, manifest.space, manifest.seed)
    fixed = {name: sampler for name, sampler in found.items() if not sampler.learns}
    if manifest.warm and fixed:
        known = known_of(Path(manifest.warm), manifest.problem.metric, manifest.space)
        for sampler in fixed.values():
            sampler.recall(known)
    return fixed


def _folders(runs: Iterable[Path]) -> Iterator[Path]:
    """The run directories that are given, or that lie in the given directories."""
    for path in runs:
        if (path / MANIFEST).exists() or not path.is_dir():
            yield path
            continue
        inside = sorted(manifest.parent for manifest in path.glob(f"[!.]*/{MANIFEST}"))
        if not inside:
            raise TuningError(f"{path} is not a run, and holds none")
        yield from inside


def _joined(manifests: Sequence[Manifest], folders: Sequence[Path]) -> Strategies:
    """The strategies of the whole search: of each the longest, or neighbouring sweeps as one."""
    joined: Strategies = {}
    for manifest in manifests:
        for name, settings in manifest.strategies.items():
            own = joined.setdefault(name, settings)
            if settings.get("trials", 0) > own.get("trials", 0):
                joined[name] = settings
    sweeps = [
        ({"order": "grid"} | manifest.strategies["sweep"], folder)
        for manifest, folder in zip(manifests, folders, strict=True)
        if "sweep" in manifest.strategies
    ]
    if any(sweep != sweeps[0][0] for sweep, _ in sweeps):
        joined["sweep"] = {"points": _range(sweeps), "order": "grid"}
    return joined


def _range(sweeps: Iterable[tuple[Mapping[str, Any], Path]]) -> str:
    """The range of the grid that sweeps of neighbouring ranges cover together."""
    ranges = []
    for sweep, folder in sweeps:
        if sweep["order"] != "grid" or sweep["points"] == "all":
            raise TuningError(
                f"the sweep of {folder} ({sweep['points']} in {sweep['order']} order) is not a "
                "range A:B that borders on the others"
            )
        start, _, stop = sweep["points"].rpartition(":")
        ranges.append((int(start or 0), int(stop), folder))
    ranges.sort(key=lambda one: one[:2])
    end = ranges[0][1]
    for start, stop, folder in ranges:
        if start > end:
            raise TuningError(
                f"the sweeps leave out {end}:{start}, which stands before that of {folder}: train "
                f"it with --sweep {end}:{start}"
            )
        end = max(end, stop)
    return f"{ranges[0][0]}:{end}"


def _keys(
    table: pd.DataFrame, manifest: Manifest, numbers: Mapping[str, Mapping[int | str, int]]
) -> list[Key]:
    """What rows of different tables have in common that are of the same trial."""
    points = points_of(table, manifest.space)
    return [
        (strategy, point if strategy in numbers else f"trial {trial}")
        for strategy, trial, point in zip(table["strategy"], table["trial"], points, strict=True)
    ]


def _owners(tables: Sequence[pd.DataFrame], keys: Sequence[list[Key]]) -> dict[Key, int]:
    """The place of the table that each strategy's trial is taken from."""
    owner: dict[Key, int] = {}
    for wanted in (True, False):
        for i, (table, own) in enumerate(zip(tables, keys, strict=True)):
            for key, status in zip(own, table["status"], strict=True):
                if (status in DONE) == wanted:
                    owner.setdefault(key, i)
    return owner


def _apart(tables: Sequence[pd.DataFrame], keys: Sequence[list[Key]], metric: str) -> int:
    """The number of trials that have different results in different tables."""
    import pandas as pd

    parts = zip(tables, keys, strict=True)
    named = [table.assign(key=list(map(str, own))) for table, own in parts]
    rows = pd.concat([table[table["status"].isin(DONE)] for table in named])
    results = rows.groupby(["key", "trained_epochs"])[metric]
    return int((results.max() - results.min() > ROUNDING * results.max().abs()).sum())


def _add(
    run: Run,
    table: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    name: str,
    numbers: Mapping[str, Mapping[int | str, int]],
    keys: Iterable[Key],
    own: Container[Key],
) -> None:
    """Count in `run` those rows of a table that are taken from it."""
    logs: dict[tuple[str, int], list[Row]] = {}
    names = list(map(str, curves))
    measured = names[names.index("epoch") :]
    for log in _records(curves):
        key = log["strategy"], log["trial"]
        logs.setdefault(key, []).append({name: log[name] for name in measured})
    counted: list[tuple[Row, list[Row]]] = []
    for row, key in zip(_records(table), keys, strict=True):
        strategy, point = key
        if key not in own:
            continue
        if point not in numbers.get(strategy, {point: row["trial"]}):
            which = f"{point:,}" if isinstance(point, int) else point
            raise TuningError(
                f"run {row['run']} is damaged: its {strategy} does not ask for the "
                f"configuration {which}"
            )
        number = numbers[strategy][point] if strategy in numbers else row["trial"]
        curve = logs.get((strategy, row["trial"]), [])
        counted.append(({**row, "run": name, "trial": number}, curve))
    for start in range(0, len(counted), ROWS_AT_ONCE):
        part = counted[start : start + ROWS_AT_ONCE]
        run.append([row for row, _ in part], [{**row, **log} for row, logs in part for log in logs])


def _adopt_models(
    run: Run,
    folders: Sequence[Path],
    tables: Sequence[pd.DataFrame],
    keys: Sequence[list[Key]],
) -> None:
    """Copy the models of the best trials from the runs that kept them."""
    for strategy, number in run.best.missing():
        wanted = (strategy, run.point(strategy, number)), (strategy, f"trial {number}")
        for folder, table, own in zip(folders, tables, keys, strict=True):
            rows = table[[key in wanted for key in own]]
            files = [model_file(folder, strategy, int(trial)) for trial in rows["trial"]]
            if files and files[0] is not None:
                run.best.adopt(strategy, number, files[0])
                break
    run.best.settle()


def _records(table: pd.DataFrame) -> Iterator[Row]:
    """The rows as dicts, with None for a missing value."""
    names = list(map(str, table))
    for cells in as_cells(table).itertuples(index=False, name=None):
        yield dict(zip(names, cells, strict=True))
