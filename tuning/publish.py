"""A run made small, to be kept and passed on: Parquet and compressed CSV in place of CSV."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.manifest import MANIFEST, manifest_text, read_manifest, write_text
from tuning.results import CURVES, TRIALS
from tuning.table import load_curves, load_results

if TYPE_CHECKING:
    import pandas as pd


def publish(run: str | Path, out: str | Path) -> dict[str, Any]:
    """Write a run's tables compactly: what `load_results` and `load_curves` read as well.

    The trials as ``trials.parquet`` and the same as ``trials.csv.gz``, the learning curves as
    ``curves.parquet``, of trainings that differ only in ``epochs`` the longest, where the others
    are its beginning.

    Parameters
    ----------
    run : str or Path
        A run directory.
    out : str or Path
        The directory to make.

    Returns
    -------
    dict
        The manifest written, which has the numbers of rows, the time from first to last, and the
        CPU time, under ``published``.

    Raises
    ------
    TuningError
        If the run has no trials or its tables are damaged, or `out` cannot be made.
    """
    manifest, trials, curves = read_manifest(run), load_results(run), load_curves(run)
    if trials.empty:
        raise TuningError(f"{run} has no trials yet")
    curves = longest(trials, curves, list(manifest["problem"]["axes"]))
    manifest["published"] = {
        "trials": len(trials),
        "epochs": len(curves),
        "started_at": manifest["created_at"],
        "finished_at": trials["finished_at"].max(),
        "cpu_seconds": round(float(trials["train_seconds"].sum()), 3),
    }
    out = Path(out)
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        for name, table in ((TRIALS, trials), (CURVES, curves)):
            _to_parquet(table, draft / Path(name).with_suffix(".parquet"))
        text = trials.to_csv(index=False).encode()
        (draft / f"{TRIALS}.gz").write_bytes(gzip.compress(text, mtime=0))
        write_text(draft / MANIFEST, manifest_text(manifest))
        draft.rename(out)
    except OSError as error:
        raise TuningError(f"cannot make {out}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def longest(trials: pd.DataFrame, curves: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """The curves without those that are the beginning of another of their trajectory."""
    if "epochs" not in axes:
        return curves
    group = ["strategy", "seed", *(axis for axis in axes if axis != "epochs")]
    of_longest = trials.sort_values("epochs", kind="stable").groupby(group, dropna=False)["trial"]
    keys = trials[["strategy", "seed", "trial"]].assign(longest=of_longest.transform("last"))
    logs = curves.merge(keys, on=["strategy", "seed", "trial"], how="left")
    names = [name for name in curves if name not in ("run", "trial")]
    whole = curves.rename(columns={"trial": "longest"})[["longest", *names]]
    matched = logs.merge(whole.assign(is_in_it=True), on=["longest", *names], how="left")
    apart = matched["is_in_it"].isna() | (logs["trial"] == logs["longest"])
    kept = apart.groupby([logs["strategy"], logs["seed"], logs["trial"]]).transform("any")
    return curves[kept.to_numpy()].reset_index(drop=True)


def _to_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False, engine="pyarrow", compression="zstd")
