"""A run's results as tables on the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from tuning.analysis.compare import STRATEGIES, Comparison
from tuning.problem import Mode
from tuning.progress import duration

BEST = "bold green"


def comparison_table(comparison: Comparison) -> Table:
    """What each strategy found, alone, at an equal budget, and beside published results."""
    metric, test = comparison.metric, comparison.test_metric
    table = _table("", "trials", "epochs", "CPU time", f"best {metric}", f"its {test}")
    rows: list[tuple[str, dict[str, Any]]] = [
        (STRATEGIES.get(str(strategy), str(strategy)), _spent(row))
        for strategy, row in comparison.last.iterrows()
    ]
    n = comparison.equal_budget
    for strategy, trials in comparison.last["trials"].items():
        if n and trials > n:
            name, at_n = (
                STRATEGIES.get(str(strategy), str(strategy)),
                _spent(comparison.after(str(strategy), n)),
            )
            rows.append((f"{name}, first {n:,}", at_n))
            expected = {key: at_n[f"expected_{key}"] for key in (metric, test)}
            rows.append((f"{name}, any {n:,} (expected)", {"trials": n, **expected}))
    for reference in comparison.manifest["problem"]["references"]:
        rows.append((str(reference.get("strategy", "published")), reference))
    for name, row in rows:
        seconds, epochs = row.get("cpu_seconds"), row.get("epochs")
        table.add_row(
            name,
            f"{row['trials']:,}" if "trials" in row else "",
            "" if epochs is None else f"{epochs:,}",
            "" if seconds is None else duration(seconds),
            _number(row.get(metric)),
            _number(row.get(test)),
        )
    return table


def best_table(results: pd.DataFrame, metric: str, mode: Mode, axes: list[str], n: int) -> Table:
    """The n best configurations, each once."""
    test = metric.replace("val_", "test_", 1)
    table = _table(metric, test, "configuration", *axes)
    ok = results[results["status"] == "ok"].drop_duplicates("trial")
    for _, row in ok.sort_values(metric, ascending=mode == "min", kind="stable").head(n).iterrows():
        table.add_row(
            _number(row[metric]),
            _number(row[test]),
            f"{row['trial']:,}",
            *("" if pd.isna(row[axis]) else str(row[axis]) for axis in axes),
        )
    return table


def axis_means(results: pd.DataFrame, metric: str, axes: list[str]) -> pd.DataFrame:
    """The metric by value of each axis, over the trials that have a result, each trial once.

    Returns
    -------
    DataFrame
        Columns ``axis``, ``value``, ``trials``, ``mean`` and ``std`` (of the sample).
    """
    ok = results[results["status"] == "ok"].drop_duplicates("trial")
    parts = []
    for axis in axes:
        by_value = ok.groupby(axis, sort=True, dropna=False)[metric].agg(["count", "mean", "std"])
        part = by_value.rename(columns={"count": "trials"}).reset_index(names="value")
        parts.append(part.astype({"value": object}).assign(axis=axis))
    columns = ["axis", "value", "trials", "mean", "std"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def axis_table(means: pd.DataFrame, metric: str, mode: Mode) -> Table:
    """The means of `axis_means`, the best of each axis marked."""
    table = _table("axis", "value", "trials", f"mean {metric}", "std")
    for axis, rows in means.groupby("axis", sort=False):
        best = rows["mean"].max() if mode == "max" else rows["mean"].min()
        for i, (_, row) in enumerate(rows.iterrows()):
            table.add_row(
                str(axis) if i == 0 else "",
                str(row["value"]),
                f"{row['trials']:,}",
                _number(row["mean"]),
                _number(row["std"]),
                style=BEST if row["mean"] == best else None,
                end_section=i == len(rows) - 1,
            )
    return table


def _spent(row: Any) -> dict[str, Any]:
    found = dict(row)
    return {**found, "epochs": found["total_epochs"], "cpu_seconds": found["total_cpu_seconds"]}


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _number(value: Any) -> str:
    if value is None or pd.isna(value):
        return "–"
    return f"{value:.4f}" if np.abs(value) < 1000 else f"{value:.4g}"
