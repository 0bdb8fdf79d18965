"""Do simulated searches take the seconds of live ones, and decide the same?

What packs cost here is measured first (`benchmarks/costs.py`). Then each strategy searches the
built-in grid live by `tuning.search(strategy=..., time=...)` with two workers, in a new process
with nothing compiled, and on the published table by the simulated clock with these costs
(`benchmarks/strategies.py`), with the same seed and settings. Seconds count from when training
begins to when as many trials were counted, in quarters of those that both have. ``ratio`` is
simulated over live seconds. ``1.3 s a compile`` is that ratio, at the last quarter, of the other
clock by which strategies are compared: 1.3 s a compile, 0.2 s to load one, 0.04 s a member, and the
table's seconds an epoch. ``same trials`` is the share of the live search's trials before the first
one that the simulated search does not have under that number. Scores of the table are those of seed
0: with another seed, what learns hears other scores and soon decides otherwise. Round k takes
seed k.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from benchmarks import costs
from benchmarks.measuring import PROBLEM, WORKERS, Measurement, apart
from tuning.budget import Budget, Course
from tuning.execution.loop import Progress, search
from tuning.execution.table import Costs, Memory, TableExecutor
from tuning.samplers import strategy

MINUTES, ROUNDS = 4, 3
SEEDED = True
SECONDS, SHORT = 16.0, 5.0
QUARTERS = 4
LEFT_OUT = ("random, one by one", "iepoch, 300 draws")  # others do the same in so short a time
MOST = 2.0  # times as long as live, a simulated search goes on

Counted = dict[int, tuple[float, Hashable, int]]
"""By a trial's number: when it was counted, its point and its epochs."""


class Noting(Progress):
    """Notes when trials were counted, by a clock.

    Parameters
    ----------
    clock : callable
        Seconds, from whatever beginning.
    """

    def __init__(self, clock: Any) -> None:
        self.counted: Counted = {}
        self._clock = clock
        self._began = 0.0

    def begun(self, trials: int, course: Course, *, learns: bool) -> None:
        """Training begins."""
        self._began = self._clock()

    def trained(self, pack: Any, report: Any, counted: Any) -> None:
        """Note the trials that were counted, but not those that time has cut."""
        seconds = self._clock() - self._began
        for _, outcome in counted:
            trial = outcome.trial
            if outcome.status != "stopped" or len(outcome.curve) == trial.epochs:
                self.counted[trial.number] = seconds, trial.point, trial.epochs


def measure(smallest: bool, seed: int = 0, seconds: float | None = None) -> Iterator[Measurement]:
    """The costs; seconds of each quarter live and simulated, and how many trials are the same."""
    from benchmarks.strategies import STRATEGIES

    budget = seconds or (SHORT if smallest else SECONDS)
    own = Costs() if smallest else costs.fitted(apart(costs.packs_paid, 1))
    yield from costs.told(own)
    for label, (name, settings) in STRATEGIES.items():
        if label in LEFT_OUT or (smallest and name != "packs"):
            continue
        if name == "optuna" and not importlib.util.find_spec("optuna"):
            continue
        ours = apart(live, name, settings, budget, seed)
        theirs = simulated(name, settings, budget, seed, own)
        yield from compared(label, ours, theirs)
        plain = simulated(name, settings, budget, seed, Costs())
        if times := at_quarters(ours, plain):
            live_seconds, simulated_seconds = times[-1]
            yield Measurement(label, "1.3 s a compile", simulated_seconds / live_seconds, "")


def live(name: str, settings: Mapping[str, Any], seconds: float, seed: int) -> Counted:
    """Search the built-in grid for some seconds of training."""
    import tuning

    problem = tuning.load_problem(PROBLEM)
    noting = Noting(time.monotonic)
    own = dict(settings)
    tuning.search(
        problem.build_model,
        problem.space,
        problem.load_data,
        strategy=None if name == "sweep" else name,
        sweep=own.pop("points", None),
        trials=own.pop("trials", None),
        settings=own,
        time=seconds,
        seed=seed,
        workers=WORKERS,
        keep=0,
        progress=[noting],
        metric="val_accuracy",
    )
    return noting.counted


def simulated(
    name: str, settings: Mapping[str, Any], seconds: float, seed: int, own: Costs
) -> Counted:
    """The same search on the table, for some times the seconds."""
    from benchmarks.strategies import GOAL, ROWS, table
    from tuning.api.search import TIMED_HORIZON

    known = table()
    executor = TableExecutor(known.outcomes, WORKERS, packing=known.packing, n_rows=ROWS, costs=own)
    noting = Noting(lambda: executor.clock)
    course = Course(Budget(time=MOST * seconds), GOAL.metric, GOAL.mode)
    search(
        {name: strategy(name).from_settings(known.grid, seed, settings)},
        executor, Memory(), executor.packer, noting,
        goal=GOAL, horizon=TIMED_HORIZON, course=course,
    )  # fmt: skip
    return noting.counted


def compared(who: str, ours: Counted, theirs: Counted) -> Iterator[Measurement]:
    """The seconds of quarters, and the share of trials that are the same."""
    for quarter, (own, other) in enumerate(at_quarters(ours, theirs), start=1):
        yield Measurement(who, f"quarter {quarter}, live", own, "s")
        yield Measurement(who, f"quarter {quarter}, simulated", other, "s")
        yield Measurement(who, f"quarter {quarter}, ratio", other / own, "")
    yield Measurement(who, "trials", float(len(ours)), "")
    yield Measurement(who, "same trials", same(ours, theirs), "")


def at_quarters(ours: Counted, theirs: Counted) -> list[tuple[float, float]]:
    """When each quarter of the trials that both have, as many of either, was counted."""
    n = min(len(ours), len(theirs))
    times = [sorted(seconds for seconds, *_ in each.values()) for each in (ours, theirs)]
    ends = [n * quarter // QUARTERS for quarter in range(1, QUARTERS + 1)]
    return [(times[0][end - 1], times[1][end - 1]) for end in ends if end]


def same(ours: Counted, theirs: Counted) -> float:
    """The share of the live search's trials before the first that differs."""
    for i, number in enumerate(sorted(ours)):
        if number not in theirs or ours[number][1:] != theirs[number][1:]:
            return i / len(ours)
    return 1.0
