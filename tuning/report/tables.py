"""A run's results as tables on the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from tuning.analysis.best_of_n import BestOf
from tuning.analysis.compare import Comparison, number_text, strategy_name
from tuning.analysis.grid_scores import Landscape
from tuning.analysis.run_view import scores_of, test_metric
from tuning.problem.problem import Mode
from tuning.report.terminal import duration, new_table
from tuning.space.grid import Grid

BEST = "bold green"


def comparison_table(comparison: Comparison) -> Table:
    """What each strategy found, alone, at an equal budget, and beside published results."""
    metric, test = comparison.metric, comparison.test_metric
    table = new_table("", "trials", "epochs", "CPU time", f"best {metric}", f"its {test}")
    rows: list[tuple[str, dict[str, Any]]] = [
        (strategy_name(strategy), _spent(row)) for strategy, row in comparison.last.iterrows()
    ]
    n = comparison.equal_budget
    for strategy, trials in comparison.last["trials"].items():
        if n and trials > n:
            name, at_n = (
                strategy_name(strategy),
                _spent(comparison.after(str(strategy), n)),
            )
            rows.append((f"{name}, first {n:,}", at_n))
            expected = {key: at_n[f"expected_{key}"] for key in (metric, test)}
            rows.append((f"{name}, any {n:,} (expected)", {"trials": n, **expected}))
    for reference in comparison.manifest.problem.references:
        rows.append((str(reference.get("strategy", "published")), reference))
    for name, row in rows:
        seconds, epochs = row.get("cpu_seconds"), row.get("epochs")
        table.add_row(
            name,
            f"{row['trials']:,}" if "trials" in row else "",
            "" if epochs is None else f"{epochs:,}",
            "" if seconds is None else duration(seconds),
            number_text(row.get(metric)),
            number_text(row.get(test)),
        )
    return table


def replay_table(found: pd.DataFrame, land: Landscape, exact: BestOf | None) -> Table:
    """What replayed searches found, and what is exact of it, if it can be told.

    Quantiles are each column's own.
    """
    scores = [land.metric, land.test_metric]
    table = new_table("", f"best {land.metric}", f"its {land.test_metric}", "its rank", "CPU time")
    lines: dict[str, dict[str, Any]] = {"mean": dict(found.mean(numeric_only=True))}
    for name, good in (("best 5 %", 0.95), ("median", 0.5), ("worst 5 %", 0.05)):
        up = land.mode == "max"
        shares = dict.fromkeys(scores, good if up else 1 - good)
        shares |= {"rank": 1 - good, "cpu_seconds": 1 - good}
        lines[name] = {column: found[column].quantile(share) for column, share in shares.items()}
    for name, row in lines.items():
        table.add_row(
            name,
            *(number_text(row[score]) for score in scores),
            "–" if pd.isna(row["rank"]) else f"{row['rank']:,.0f}",
            duration(row["cpu_seconds"]),
        )
    if exact:
        table.add_section()
        table.add_row(
            "mean, exact", number_text(exact.mean[-1]), number_text(exact.chosen_mean[-1])
        )
    return table


def with_result(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The trials with a finite score, each once however many strategies asked for it."""
    finite: pd.DataFrame = results[np.isfinite(scores_of(results, metric))]
    return finite.drop_duplicates("index")


def best_table(
    results: pd.DataFrame,
    metric: str,
    mode: Mode,
    axes: list[str],
    again: pd.DataFrame | None = None,
    *,
    width: int,
) -> Table:
    """The ten best configurations, each once: a column an axis, or one for all if `width` is short.

    Parameters
    ----------
    again : DataFrame, optional
        As `tuning.analysis.steady.trained_again` gives it: how far those move that it has.
    width : int
        Characters a line.
    """
    test = test_metric(metric)
    ok = with_result(results, metric)
    best = ok.sort_values(metric, ascending=mode == "min", kind="stable").head(10)
    moved = {} if again is None else dict(zip(again["index"], again["moved"], strict=True))
    cells = {
        metric: best[metric].map(number_text),
        test: best[test].map(number_text),
        **(
            {"moves by": best["index"].map(lambda index: _moved(moved.get(index)))} if moved else {}
        ),
        "index": best["index"].map("{:,}".format),
        **{axis: best[axis].map(value_text) for axis in axes},
    }
    if sum(3 + max(len(name), text.str.len().max()) for name, text in cells.items()) > width:
        pairs: Any = [axis + "=" + cells.pop(axis) for axis in axes]
        cells["configuration"] = pairs[0].str.cat(pairs[1:], sep=" ")
    table = new_table(*cells, prose=["configuration"] if "configuration" not in axes else ())
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    return table


def _moved(distance: float | None) -> str:
    return "" if distance is None or pd.isna(distance) else f"{distance:.2g}"


def axis_positions(indices: pd.Series[int], grid: Grid) -> pd.DataFrame:
    """Which value of each axis a trial has, from its grid index.

    Returns
    -------
    DataFrame
        A column an axis, a row a trial: the value's place among the axis's values.
    """
    return pd.DataFrame({axis: grid.position(axis, indices) for axis in grid.axes})


def axis_means(results: pd.DataFrame, metric: str, grid: Grid) -> pd.DataFrame:
    """The metric by value of each axis, over the trials that have a result, each trial once.

    Returns
    -------
    DataFrame
        Columns ``axis``, ``value``, ``trials``, ``mean`` and ``std`` (of the sample), in the order
        of the grid; only the values that were trained.
    """
    ok = with_result(results, metric)
    positions = axis_positions(ok["index"], grid)
    rows = []
    for axis, values in grid.axes.items():
        for position, group in ok[metric].groupby(positions[axis]):
            value = values[int(str(position))]
            rows.append((axis, value_text(value), len(group), group.mean(), group.std()))
    return pd.DataFrame(rows, columns=["axis", "value", "trials", "mean", "std"])


def axis_table(means: pd.DataFrame, metric: str, mode: Mode) -> Table:
    """The means of `axis_means`, the best of each axis marked."""
    table = new_table("axis", "value", "trials", f"mean {metric}", "std")
    for axis, rows in means.groupby("axis", sort=False):
        best = rows["mean"].max() if mode == "max" else rows["mean"].min()
        for i, (_, row) in enumerate(rows.iterrows()):
            table.add_row(
                str(axis) if i == 0 else "",
                row["value"],
                f"{row['trials']:,}",
                number_text(row["mean"]),
                number_text(row["std"]),
                style=BEST if row["mean"] == best else None,
                end_section=i == len(rows) - 1,
            )
    return table


def _spent(row: Any) -> dict[str, Any]:
    found = dict(row)
    return {**found, "epochs": found["total_epochs"], "cpu_seconds": found["total_cpu_seconds"]}


def value_text(value: Any) -> str:
    """An axis value as tables and figures show it."""
    return "None" if pd.isna(value) else str(value)
