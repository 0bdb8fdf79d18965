"""How soon do strategies find the best configurations of the published table?

By simulation: events on two workers, epochs, compiles, and the loop that trains. Seconds count from
the first job, without start-up, unless said. Clocks differ in what things cost (`Costs`): two have
the seconds an epoch of the table and 1.3 or 3 s a compile; the third has what `benchmarks/live.py`
has measured on one machine, from results/strategies/live.csv, if that is there. To write the tables
and the figure of results/strategies: `python -m benchmarks.strategies results/strategies`.

What does not learn is planned ahead as in a search with a time budget, so that trials of one
program train together, but "random, one by one", which plans no more than the workers take. `packs`
is told what a compile takes where it is 1.3 or 3 s; by the measured clock it has its default.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import functools
import itertools
import statistics
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import tuning
from benchmarks.measuring import PROBLEM, REPOSITORY, WORKERS, Measurement
from tuning.api.search import TIMED_HORIZON
from tuning.execution.loop import Progress, search
from tuning.execution.table import Costs, Memory, TableExecutor
from tuning.packing.axes import Axis, Packing
from tuning.runs.manifest import read_manifest
from tuning.samplers import strategy
from tuning.samplers.protocol import Goal
from tuning.trial import Outcome, Trial

MINUTES, ROUNDS = 30, 1
SEARCHES = 200
CLOCKS = {"1.3 s a compile": Costs(compile=1.3), "3 s a compile": Costs(compile=3.0)}
FIRST_CLOCK, MEASURED = "1.3 s a compile", "measured"
LIVE = REPOSITORY / "results" / "strategies" / "live.csv"
START = 5.0  # seconds of start-up, where they are counted
SECONDS = (10, 20, 40, 60)  # after which the best so far is told
LONG, LONG_SEARCHES = 180, 40  # seconds, and how many searches go on for so long
WINS = (10, 20, 30, 40, 60)  # seconds after which two strategies are compared
GOAL = Goal("val_accuracy", "max")
TEST = "test_accuracy"
ROWS = 9_778  # of the table's training data
MANY = 40_000  # trainings: as many as there is time for
STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "random, one by one": ("random", {"trials": 400}),
    "random, whole trainings": ("random", {"trials": 400, "trajectories": True}),
    "sweep": ("sweep", {"points": "2000"}),
    "optuna": ("optuna", {"trials": MANY}),
    "evolution": ("evolution", {"trials": MANY}),
    "iepoch, 100 draws": ("iepoch", {"trials": 100}),
    "iepoch, 300 draws": ("iepoch", {"trials": 300}),
    "hyperband": ("hyperband", {"trials": MANY}),
    "halving": ("halving", {"trials": MANY}),
    "packs": ("packs", {"trials": MANY}),
}
ONE_BY_ONE = "random, one by one"
RIVALS = (ONE_BY_ONE, "random, whole trainings", "sweep", "halving")  # of packs

Found = list[tuple[float, float, float]]
"""Seconds, validation score and test score of each training to its end, as they came."""


@dataclass(frozen=True)
class Table:
    """The published table, as the simulation needs it.

    Attributes
    ----------
    grid : Grid
    outcomes : dict
        By `Trial.point`, with curves and seconds an epoch.
    packing : Packing
    bar, best : float
        The lowest score of the best 1 %, and the best.
    """

    grid: tuning.Grid
    outcomes: dict[Hashable, Outcome]
    packing: Packing
    bar: float
    best: float


class Over(Exception):
    """The simulated seconds are over."""


class Watch(Progress):
    """Notes what was found when, and ends the search.

    Parameters
    ----------
    executor : TableExecutor
    end : float
        Simulated seconds.
    """

    def __init__(self, executor: TableExecutor, end: float) -> None:
        self.found: Found = []
        self._executor, self._end = executor, end

    def trained(self, pack: Any, report: Any, counted: Any) -> None:
        """Note the scores of what was trained to its end."""
        now = self._executor.clock
        if now > self._end:
            raise Over
        self.found += [
            (now, outcome.metrics[GOAL.metric], outcome.metrics[TEST])
            for _, outcome in counted
            if outcome.status == "ok"
        ]


@functools.cache
def table() -> Table:
    """Read the table: a configuration's curve is that of its trajectory up to its epochs."""
    path = REPOSITORY / "results" / PROBLEM
    manifest = read_manifest(path)
    grid, axes = manifest.grid, manifest.grid.axes
    epochs = axes["epochs"]
    n, longest = len(epochs), max(epochs)
    rows = tuning.load_results(path).sort_values("trial")
    curves = tuning.load_curves(path)
    curve = np.full((grid.size // n, longest + 1), np.nan)
    curve[curves["trial"] // n, curves["epoch"]] = curves[GOAL.metric]
    scores, tests = rows[GOAL.metric].to_numpy(), rows[TEST].to_numpy()
    seconds = rows["train_seconds"].to_numpy().reshape(-1, n).sum(axis=1) / longest
    outcomes: dict[Hashable, Outcome] = {}
    for index in range(grid.size):
        own, each = index // n, float(seconds[index // n])
        trial = Trial(index, grid[index], 0, epochs[index % n], index)
        logs = [{GOAL.metric: value} for value in curve[own, 1:].tolist() if np.isfinite(value)]
        ok = bool(np.isfinite(scores[index]))
        outcomes[index] = Outcome(
            trial,
            "ok" if ok else "diverged",
            "vectorized",
            "jax",
            {GOAL.metric: float(scores[index]), TEST: float(tests[index])} if ok else {},
            logs[: trial.epochs],
            each * trial.epochs,
            [each] * trial.epochs,
        )
    kinds = {name: Axis(kind, "") for name, kind in manifest.packing.items()}
    parameters = {width: 785 * width + (width + 1) * width + width + 1 for width in axes["neurons"]}
    first = parameters[axes["neurons"][0]]
    sizes = {width: own / first for width, own in parameters.items()}
    kinds["neurons"] = Axis("structural", "", sizes=sizes)
    ordered = np.sort(scores[np.isfinite(scores)])
    bar, best = float(ordered[-(grid.size // 100)]), float(ordered[-1])
    return Table(grid, outcomes, Packing(kinds, parameters=first), bar, best)


@functools.cache
def clocks() -> dict[str, Costs]:
    """The costs of each clock; those that were measured are medians of their rounds."""
    values = collections.defaultdict(list)
    if LIVE.exists():
        with LIVE.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["who"] == "costs":
                    values[row["what"]].append(float(row["value"]))
    measured = {part: statistics.median(each) for part, each in values.items()}
    return CLOCKS | ({MEASURED: Costs(**measured)} if measured else {})


def simulate(label: str, seed: int, clock: str, end: float) -> Found:
    """What a search of `STRATEGIES` finds on the table within simulated seconds."""
    known, costs = table(), clocks()[clock]
    name, settings = STRATEGIES[label]
    if name == "packs" and clock in CLOCKS:
        settings = {**settings, "compile_seconds": costs.compile}
    sampler = strategy(name).from_settings(known.grid, seed, settings)
    executor = TableExecutor(
        known.outcomes, WORKERS, packing=known.packing, n_rows=ROWS, costs=costs
    )
    watch = Watch(executor, end)
    with contextlib.suppress(Over):
        search(
            {name: sampler}, executor, Memory(), executor.packer, watch,
            goal=GOAL, horizon=2 * WORKERS if label == ONE_BY_ONE else TIMED_HORIZON,
        )  # fmt: skip
    return watch.found


def reached(found: Found, bar: float) -> float:
    """The seconds until a score is at least a bar."""
    return next((seconds for seconds, score, _ in found if score >= bar), np.inf)


def chosen(found: Found, ends: Sequence[float]) -> np.ndarray:
    """The best score and its test score by each of these seconds: shape (ends, 2); NaN if none."""
    scores = np.full((len(ends), 2), np.nan)
    for i, end in enumerate(ends):
        if before := [each for each in found if each[0] <= end]:
            scores[i] = max(before, key=lambda each: each[1])[1:]
    return scores


def quartiles(values: np.ndarray) -> np.ndarray:
    """Quartiles along the first axis; a search that has found nothing yet is the worst."""
    worst = np.where(np.isnan(values), -np.inf, values)
    return np.quantile(worst, [0.25, 0.5, 0.75], axis=0, method="nearest")


def measure(smallest: bool) -> Iterator[Measurement]:
    """Each strategy by each clock; at the smallest two searches of 20 seconds."""
    n, ends = (2, SECONDS[:2]) if smallest else (SEARCHES, SECONDS)
    for clock in [FIRST_CLOCK] if smallest else clocks():
        for label in STRATEGIES:
            found = [simulate(label, seed, clock, ends[-1]) for seed in range(n)]
            who = f"{label}, {clock}"
            first = [reached(each, table().bar) for each in found]
            median, nine = np.quantile(first, [0.5, 0.9], method="higher")
            yield Measurement(who, "best 1 %, median", float(min(median, 999)), "s")
            yield Measurement(who, "nine of ten", float(min(nine, 999)), "s")
            scores = quartiles(np.array([chosen(each, ends) for each in found]))[1]
            for end, (score, _) in zip(ends, scores, strict=True):
                yield Measurement(who, f"after {end} s", float(max(score, 0)), "")


def write(folder: Path, searches: int, long: int) -> None:
    """Simulate all strategies, and write three tables and a figure."""
    folder.mkdir(parents=True, exist_ok=True)
    first = [["clock", "strategy", "searches", "start_seconds", "median", "nine_of_ten"]]
    scores = [[
        "clock", "strategy", "searches", "start_seconds", "after_seconds",
        "val_lower", "val_median", "val_upper", "test_lower", "test_median", "test_upper",
    ]]  # fmt: skip
    curves: dict[str, list[Found]] = {}
    ends = [LONG if seed < long else SECONDS[-1] for seed in range(searches)]
    for clock in clocks():
        for label in STRATEGIES:
            with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
                of_clock = itertools.repeat(label), range(searches), itertools.repeat(clock), ends
                found = list(pool.map(simulate, *of_clock, chunksize=10))
            curves.setdefault(label, found)  # of the first clock
            for start in (0.0, START):
                times = [reached(each, table().bar) + start for each in found]
                both = np.quantile(times, [0.5, 0.9], method="higher")
                told = [f"{end:.1f}" if end <= SECONDS[-1] else "" for end in both]
                first.append([clock, label, searches, start, *told])
                for end in (*SECONDS, LONG) if long else SECONDS:
                    of = found if end != LONG else found[:long]
                    own = np.array([chosen(each, [end - start])[0] for each in of])
                    row = [f"{v:.5f}" if v > 0 else "" for v in quartiles(own).T.ravel()]
                    scores.append([clock, label, len(of), start, end, *row])
            _write(folder / "best_1_percent.csv", first)
            _write(folder / "chosen.csv", scores)
            print(f"{clock}, {label}: {first[-2][-2:]}", flush=True)
        if clock == FIRST_CLOCK:
            _write(folder / "wins.csv", wins(curves))
            _draw(folder / "regret.png", curves)


def wins(found: Mapping[str, list[Found]]) -> list[list[Any]]:
    """How often `packs` has a better validation score than its rivals, by seconds: rows, titled.

    Two searches of one seed are compared; what has trained nothing to its end is worse.
    """
    rows: list[list[Any]] = [["rival", "after_seconds", "searches", "better", "equal", "worse"]]
    best = {
        label: np.nan_to_num([chosen(each, WINS)[:, 0] for each in found[label]], nan=-np.inf)
        for label in ("packs", *RIVALS)
    }
    for rival in RIVALS:
        for i, end in enumerate(WINS):
            own, other = best["packs"][:, i], best[rival][:, i]
            shares = [float(np.mean(each)) for each in (own > other, own == other, own < other)]
            rows.append([rival, end, len(own), *(f"{share:.3f}" for share in shares)])
    return rows


def _write(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _draw(path: Path, curves: Mapping[str, list[Found]]) -> None:
    """Regret of validation and of test against seconds, with quartiles."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ends = np.geomspace(3, SECONDS[-1], 60)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    tests = max(o.metrics.get(TEST, 0.0) for o in table().outcomes.values())
    titles = ("validation accuracy", "test accuracy of the chosen")
    for place, (ax, title, best) in enumerate(
        zip(axes, titles, (table().best, tests), strict=True)
    ):
        for number, (label, found) in enumerate(curves.items()):
            values = np.array([chosen(each, ends)[:, place] for each in found])
            lower, median, upper = 100 * (best - quartiles(values))
            ax.plot(ends, median, color=f"C{number}", label=label)
            ax.fill_between(ends, lower, upper, color=f"C{number}", alpha=0.12, linewidth=0)
        ax.set(xscale="log", yscale="log", xlabel="seconds of two workers, without start-up")
        ax.set(title=f"{title}: below the best, percentage points", xlim=(3, SECONDS[-1]))
        ax.set_ylim((0.008, 3) if place == 0 else (0.1, 3))
        ticks = [3, 5, 10, 20, 40, 60]
        ax.set_xticks(ticks, [str(each) for each in ticks])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[1].legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--long", type=int, default=LONG_SEARCHES, help=f"those of {LONG} s")
    options = parser.parse_args()
    write(options.folder, options.searches, options.long)
