"""How soon do strategies find the best configurations, by simulation on the published table?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tuning
from tuning.execution.loop import Progress, search
from tuning.execution.table import Costs, Memory, TableExecutor
from tuning.packing.axes import Axis, Packing
from tuning.runs.manifest import read_manifest
from tuning.samplers import Sampler, strategy
from tuning.samplers.protocol import Goal
from tuning.trial import Outcome, Trial

TABLE = Path(__file__).resolve().parent.parent / "results" / "mnist_2_vs_7"
SECONDS = (10, 20, 40, 60, 180)
GOAL = Goal("val_accuracy", "max")
WORKERS = 2
ROWS = 9_774  # of the table's training data


@dataclass(frozen=True)
class Table:
    """The table as a search needs it."""

    grid: tuning.Grid
    outcomes: dict[Hashable, Outcome]
    packing: Packing
    bar: float  # of the best 1 %


class Over(Exception):
    """The simulated seconds are over."""


@functools.cache
def table(path: Path = TABLE) -> Table:
    """The published table, with curves."""
    manifest = read_manifest(path)
    grid = manifest.grid
    rows = tuning.load_results(path).sort_values("trial")
    curves = tuning.load_curves(path)
    values = grid.axes["epochs"]
    n, longest = len(values), max(values)
    curve = np.full((grid.size // n, longest + 1), np.nan)
    curve[curves.trial // n, curves.epoch] = curves.val_accuracy
    val, test = rows.val_accuracy.to_numpy(), rows.test_accuracy.to_numpy()
    seconds = rows.train_seconds.to_numpy().reshape(-1, n).sum(1) / longest
    outcomes: dict[Hashable, Outcome] = {}
    for i in range(grid.size // n):
        logs = [{"val_accuracy": v} for v in curve[i, 1:].tolist() if v == v]
        each = [float(seconds[i])] * longest
        for j, epochs in enumerate(values):
            index = i * n + j
            trial = Trial(index, grid[index], 0, epochs, index)
            ok = bool(np.isfinite(val[index]))
            metrics = {"val_accuracy": float(val[index]), "test_accuracy": float(test[index])}
            outcomes[index] = Outcome(
                trial, "ok" if ok else "diverged", "vectorized", "jax", metrics if ok else {},
                logs[:epochs], float(seconds[i] * epochs), each[:epochs], worker="", finished_at="",
            )  # fmt: skip
    kinds = manifest.packing
    axes = {name: Axis(kinds[name], "") for name in grid.axes}
    widths = grid.axes["neurons"]
    sizes = {w: (785 * w + w * w + w + w + 1) / (785 * 64 + 64 * 64 + 2 * 64 + 1) for w in widths}
    axes["neurons"] = Axis("structural", "", sizes=sizes)
    packing = Packing(axes, parameters=785 * 64 + 64 * 64 + 2 * 64 + 1)
    return Table(grid, outcomes, packing, float(np.sort(val)[-grid.size // 100]))


class Watch(Progress):
    """Notes what was found when, and ends the search."""

    def __init__(self, executor: TableExecutor, end: float) -> None:
        self.executor, self.end = executor, end
        self.found: list[tuple[float, float, float]] = []

    def trained(self, pack: Any, report: Any, counted: Any) -> None:
        if self.executor.clock > self.end:
            raise Over
        for _, outcome in counted:
            if outcome.status == "ok":
                m = outcome.metrics
                self.found.append((self.executor.clock, m["val_accuracy"], m["test_accuracy"]))


def simulate(sampler: Sampler, costs: Costs, end: float, packed: bool = True) -> list[tuple]:
    """What a search finds when: seconds, validation and test score."""
    known = table()
    packing = known.packing if packed else Packing(reason="one by one")
    executor = TableExecutor(known.outcomes, WORKERS, packing=packing, n_rows=ROWS, costs=costs)
    watch = Watch(executor, end)
    try:
        search({"s": sampler}, executor, Memory(), executor.packer, watch, goal=GOAL)
    except Over:
        pass
    return watch.found


def summary(found: list[tuple], ats: Sequence[float], bar: float) -> tuple:
    first = next((t for t, v, _ in found if v >= bar), np.inf)
    out = []
    for at in ats:
        before = [f for f in found if f[0] <= at]
        best = max(before, key=lambda f: f[1]) if before else (0, 0, 0)
        out.append(best[1:])
    return first, out


if __name__ == "__main__":
    import json
    import sys
    import time

    R = int(sys.argv[1])
    END = float(sys.argv[2])
    COMPILE = float(sys.argv[3])
    t = table()
    if sys.argv[4:] == []:
        o = t.outcomes
        from tuning.packing.packs import Packer

        p = Packer(t.packing, ROWS, 2)
        idx = range(2, 43200, 997 * 3)
        a = np.array([(p.epoch_seconds(t.grid[i]), o[i].epoch_seconds[0]) for i in idx])
        print(np.c_[a, a[:, 1] / a[:, 0]], a.mean(0))
        print(t.bar)
    for spec in sys.argv[4:]:
        name, _, kw = spec.partition(":")
        kw = json.loads(kw or "{}")
        packed = kw.pop("packed", True)
        t0 = time.process_time()
        rs = []
        for k in range(R):
            s = strategy(name).from_settings(
                t.grid, k, {"trials": 40_000 if name != "iepoch" else 300, **kw}
            )
            rs.append(summary(simulate(s, Costs(compile=COMPILE), END, packed), SECONDS, t.bar))
        x = np.array([r[0] for r in rs])
        b = np.array([r[1] for r in rs])
        print(
            f"{spec:60s} best 1%: {np.median(x):5.1f} / {np.quantile(x, 0.9, method='higher'):5.1f}  "
            + "  ".join(
                f"{at}: {np.median(b[:, i, 0]):.4f}/{np.median(b[:, i, 1]):.4f}"
                for i, at in enumerate(SECONDS)
                if at <= END
            ),
            f"cpu {time.process_time() - t0:.0f} s",
            flush=True,
        )
