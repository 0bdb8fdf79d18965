"""Do simulated searches take the seconds of live ones, and decide the same?

Each strategy searches the built-in grid live by `tuning.search(strategy=..., time=...)` with two
workers, in a new process with nothing compiled, and on the published table by the simulated clock
(`benchmarks/strategies.py`), with the same seed and settings. Seconds count from when training
begins, to when the trials of each quarter, in the order in which the strategy asked for them, were
all counted; each quarter has as many trials of either search. ``same trials`` is the share of the
live search's trials before the first one that the simulated search does not have under that number.
Scores of the table are those of seed 0: with another seed, what learns hears other scores and soon
decides otherwise. Round k takes seed k.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.measuring import PROBLEM, WORKERS, Measurement, apart
from tuning.budget import Budget, Course
from tuning.execution.loop import Progress, search
from tuning.execution.table import Costs, Memory, TableExecutor
from tuning.samplers import strategy

MINUTES, ROUNDS = 9, 3
SEEDED = True
SECONDS, SHORT = 40.0, 5.0
QUARTERS = 4

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
    """Seconds of each quarter live and simulated, and how many trials are the same."""
    from benchmarks.strategies import ONE_BY_ONE, STRATEGIES

    budget = seconds or (SHORT if smallest else SECONDS)
    for label, (name, settings) in STRATEGIES.items():
        if label == ONE_BY_ONE or (smallest and name != "packs"):
            continue
        if name == "optuna" and not importlib.util.find_spec("optuna"):
            continue
        ours = apart(live, name, settings, budget, seed)
        theirs = simulated(name, settings, budget, seed)
        yield from compared(label, ours, theirs)


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
        callbacks=[noting],
        metric="val_accuracy",
    )
    return noting.counted


def simulated(name: str, settings: Mapping[str, Any], seconds: float, seed: int) -> Counted:
    """The same search on the table, for twice the seconds."""
    from benchmarks.strategies import GOAL, ROWS, table
    from tuning.api.search import TIMED_HORIZON

    known = table()
    executor = TableExecutor(
        known.outcomes, WORKERS, packing=known.packing, n_rows=ROWS, costs=Costs()
    )
    noting = Noting(lambda: executor.clock)
    course = Course(Budget(time=2 * seconds), GOAL.metric, GOAL.mode)
    search(
        {name: strategy(name).from_settings(known.grid, seed, settings)},
        executor, Memory(), executor.packer, noting,
        goal=GOAL, horizon=TIMED_HORIZON, course=course,
    )  # fmt: skip
    return noting.counted


def compared(who: str, ours: Counted, theirs: Counted) -> Iterator[Measurement]:
    """The seconds of quarters, and the share of trials that are the same."""
    n = min(whole(ours), whole(theirs))
    for quarter in range(1, QUARTERS + 1):
        numbers = range(n * quarter // QUARTERS)
        if numbers:
            own, other = (max(each[i][0] for i in numbers) for each in (ours, theirs))
            yield Measurement(who, f"quarter {quarter}, live", own, "s")
            yield Measurement(who, f"quarter {quarter}, simulated", other, "s")
            yield Measurement(who, f"quarter {quarter}, ratio", other / own, "")
    yield Measurement(who, "trials", float(n), "")
    yield Measurement(who, "same trials", same(ours, theirs, range(n)), "")


def whole(counted: Counted) -> int:
    """How many trials were counted before the first that was not."""
    return next(number for number in range(len(counted) + 1) if number not in counted)


def same(ours: Counted, theirs: Counted, numbers: Sequence[int]) -> float:
    """The share of trials before the first that differs."""
    for i in numbers:
        if ours[i][1:] != theirs[i][1:]:
            return i / len(numbers)
    return 1.0
