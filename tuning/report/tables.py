"""A run's results as tables on the terminal."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.table import Table

from tuning.analysis.axis_means import with_result
from tuning.analysis.best_of_n import BestOf
from tuning.analysis.compare import Comparison
from tuning.analysis.grid_scores import GridScores
from tuning.analysis.run_view import RunView
from tuning.problem.problem import Mode
from tuning.report.terminal import duration, new_table
from tuning.report.text import MISSING, axis_text, number_text, value_text
from tuning.samplers import gives_each_once, title_of
from tuning.space.grid import Grid

BEST = "bold green"
ROWS = 10


def _headings(view: RunView) -> list[str]:
    """The headings of a best score's columns."""
    metric, *tests = view.score_names
    return [f"best {metric}", *(f"its {test}" for test in tests)]


def comparison_table(comparison: Comparison) -> Table:
    """The best of each strategy: of all its trials, at an equal budget, and published results."""
    names = comparison.score_names
    test = comparison.test_metric
    chosen = ["choice's test"] if test and comparison.choices else []
    timed = "as_long_as" in comparison.manifest.budget
    time = "time" if timed else "CPU time"
    table = new_table("", "trials", "epochs", time, *_headings(comparison), *chosen)
    rows: list[tuple[str, dict[str, Any]]] = [
        (title_of(str(strategy)), {"strategy": strategy, **_spent(row)})
        for strategy, row in comparison.last.iterrows()
    ]
    n = comparison.equal_budget
    for strategy, trials in () if timed else comparison.last["trials"].items():
        if n and trials > n:
            name, at_n = title_of(str(strategy)), _spent(comparison.after(str(strategy), n))
            rows.append((f"{name}, first {n:,}", at_n))
            if not gives_each_once(str(strategy)):
                continue  # its trials are of several lengths, and in an order that it has learnt
            expected = {key: at_n[f"expected_{key}"] for key in names}
            rows.append((f"{name}, any {n:,} (expected)", {"trials": n, **expected}))
    for reference in comparison.manifest.problem.published:
        rows.append((str(reference.get("strategy", "published")), reference))
    for name, row in rows:
        seconds, epochs = row.get("cpu_seconds"), row.get("epochs")
        if timed:
            seconds = comparison.seconds.get(row.get("strategy", ""), seconds)
        table.add_row(
            name,
            f"{row['trials']:,}" if "trials" in row else "",
            "" if epochs is None else f"{epochs:,}",
            "" if seconds is None else duration(seconds),
            *(number_text(row.get(score)) for score in names),
            *([_chosen(comparison, row)] if chosen else []),
        )
    return table


def _chosen(comparison: Comparison, row: Mapping[str, Any]) -> str:
    """The test score of what a strategy would choose."""
    choice = comparison.choices.get(str(row.get("strategy", "")))
    test = comparison.test_metric
    return "" if choice is None or test is None else number_text(choice.row[test])


def _spent(row: Any) -> dict[str, Any]:
    found = dict(row)
    return {**found, "epochs": found["total_epochs"], "cpu_seconds": found["total_cpu_seconds"]}


def replay_table(found: pd.DataFrame, scores: GridScores, exact: BestOf | None) -> Table:
    """The distribution of what replayed searches found, and its exact mean where that is known.

    Quantiles are each column's own.
    """
    names = scores.score_names
    table = new_table("", *_headings(scores), "its rank", "CPU time")
    lines: dict[str, dict[str, Any]] = {"mean": dict(found.mean(numeric_only=True))}
    for name, good in (("best 5 %", 0.95), ("median", 0.5), ("worst 5 %", 0.05)):
        up = scores.mode == "max"
        shares = dict.fromkeys(names, good if up else 1 - good)
        shares |= {"rank": 1 - good, "cpu_seconds": 1 - good}
        lines[name] = {column: found[column].quantile(share) for column, share in shares.items()}
    for name, row in lines.items():
        table.add_row(
            name,
            *(number_text(row[score]) for score in names),
            MISSING if pd.isna(row["rank"]) else f"{row['rank']:,.0f}",
            duration(row["cpu_seconds"]),
        )
    if exact:
        means = (exact.mean, exact.chosen_mean)
        table.add_section()
        table.add_row(
            "mean, exact", *(number_text(mean[-1]) for mean, _ in zip(means, names, strict=False))
        )
    return table


def best_table(
    view: RunView, results: pd.DataFrame, again: pd.DataFrame | None = None, *, width: int
) -> Table:
    """The ten best configurations: a column an axis, or one for all if `width` is too short.

    Parameters
    ----------
    view : RunView
    results : DataFrame
        As `tuning.load_results` returns it.
    again : DataFrame, optional
        As `tuning.runs.table.load_again` returns it.
    width : int
        Characters a line.
    """
    space = view.manifest.space
    axes = list(space.parameters)
    ok = with_result(results, view.metric, space)
    best = ok.sort_values(view.metric, ascending=view.mode == "min", kind="stable").head(ROWS)
    cells = {name: best[name].map(number_text) for name in view.score_names}
    if again is not None:
        moved = again.set_index("index")["moved"]
        cells["moves by"] = best["index"].map(moved).map(_distance)
    key = "index" if isinstance(space, Grid) else "trial"
    cells[key] = best[key].map("{:,}".format)
    cells |= {axis: best[axis].map(functools.partial(axis_text, space)) for axis in axes}
    if sum(3 + max(len(name), text.str.len().max()) for name, text in cells.items()) > width:
        own = [cells.pop(axis) for axis in axes]
        cells["configuration"] = pd.Series(
            [
                " ".join(f"{axis}={text}" for axis, text in zip(axes, texts, strict=True) if text)
                for texts in zip(*own, strict=True)
            ],
            best.index,
        )
    table = new_table(*cells, prose=["configuration"] if "configuration" not in axes else ())
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    return table


def _distance(distance: float) -> str:
    return "" if pd.isna(distance) else f"{distance:.2g}"


def axis_table(means: pd.DataFrame, metric: str, mode: Mode) -> Table:
    """The means of `tuning.analysis.axis_means.axis_means`, the best of each axis marked."""
    table = new_table("axis", "value", "trials", f"mean {metric}", "std")
    for axis, rows in means.groupby("axis", sort=False):
        best = rows["mean"].max() if mode == "max" else rows["mean"].min()
        for i, (_, row) in enumerate(rows.iterrows()):
            table.add_row(
                str(axis) if i == 0 else "",
                value_text(row["value"]),
                f"{row['trials']:,}",
                number_text(row["mean"]),
                number_text(row["std"]),
                style=BEST if row["mean"] == best else None,
                end_section=i == len(rows) - 1,
            )
    return table
