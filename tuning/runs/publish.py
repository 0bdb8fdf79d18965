"""The compact form of a run, to be kept and passed on: Parquet and compressed CSV."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tuning.errors import TuningError
from tuning.runs.columns import CURVES, TRIALS
from tuning.runs.manifest import (
    MANIFEST,
    Published,
    atomic_directory,
    read_manifest,
    write_text,
)
from tuning.runs.table import as_csv, lines_of, load_curves, load_results, points_of, refuse_empty
from tuning.space.labels import cell_text
from tuning.space.space import Space

if TYPE_CHECKING:
    import pandas as pd


def publish(run: str | Path, out: str | Path) -> Published:
    """Write a run's tables compactly, as `load_results` and `load_curves` read them too.

    The trials are written as ``trials.parquet`` and again as ``trials.csv.gz``, the learning curves
    as ``curves.parquet``. Of trainings that differ only in ``epochs``, a shorter one's curve is
    left out if it is the beginning of the longest one's.

    Parameters
    ----------
    run : str or Path
        A run directory.
    out : str or Path
        The directory to make.

    Returns
    -------
    Published
        The extent of what was written; the manifest has it as well.

    Raises
    ------
    TuningError
        If the run has no trials or its tables are damaged, or `out` cannot be made.
    """
    manifest, trials, curves = read_manifest(run), load_results(run), load_curves(run)
    refuse_empty(trials, run)
    space = manifest.space
    curves = without_beginnings(trials, curves, space)
    once = ~points_of(trials, space).duplicated()
    seconds = float(trials.loc[once, "train_seconds"].sum())
    published = Published(
        trials=len(trials),
        epochs=len(curves),
        started_at=manifest.created_at,
        finished_at=trials["finished_at"].max(),
        cpu_seconds=round(seconds, 3),
    )
    text = dataclasses.replace(manifest, published=published).text()
    out = Path(out).absolute()
    try:
        with atomic_directory(out) as draft:
            _to_parquet(trials, draft / Path(TRIALS).with_suffix(".parquet"), space.parameters)
            _to_parquet(curves, draft / Path(CURVES).with_suffix(".parquet"))
            table = as_csv(trials).encode()
            (draft / f"{TRIALS}.gz").write_bytes(gzip.compress(table, mtime=0))
            write_text(draft / MANIFEST, text)
    except OSError as error:
        raise TuningError(f"cannot make {out}: {error.strerror}") from error
    return published


def without_beginnings(trials: pd.DataFrame, curves: pd.DataFrame, space: Space) -> pd.DataFrame:
    """The curves of counted trials, without those that are the beginning of a longer one."""
    key = ["strategy", "trial"]
    counted = trials[key]
    curves = curves.merge(counted, on=key)
    if "epochs" not in space.parameters:
        return curves
    line = lines_of(trials, space).rename("line")
    of_longest = trials.groupby(["strategy", line])["epochs"].transform("idxmax")
    counted = counted.assign(longest=trials["trial"].loc[of_longest].to_numpy())
    curves = curves.merge(counted, on=key)
    names = [name for name in curves if name not in ("run", "trial", "index", "longest")]
    whole = curves[curves["trial"] == curves["longest"]][["longest", *names]]
    found = curves.merge(whole.assign(is_in_it=True), on=["longest", *names], how="left")
    apart = found["is_in_it"].isna() | (found["trial"] == found["longest"])
    kept = apart.groupby([found["strategy"], found["trial"]]).transform("any")
    return curves[kept.to_numpy()].drop(columns="longest").reset_index(drop=True)


def _to_parquet(table: pd.DataFrame, path: Path, axes: Iterable[str] = ()) -> None:
    """Write a table as Parquet; values of an axis of several types become their text in CSV."""
    mixed = {axis: table[axis].map(cell_text) for axis in axes if table[axis].dtype == object}
    table.assign(**mixed).to_parquet(path, index=False, compression="zstd")
