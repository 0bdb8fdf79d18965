"""Which strategy finds the most in equal time on another problem?

Ten digits over a continuous space (`benchmarks/digits_problem.py`), searched live by
`tuning.search(strategy=..., time=...)` with two workers, in a new process with nothing compiled:
every strategy has the same seconds from when training begins. Round k takes seed k, one strategy
after another.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.measuring import WORKERS, Measurement, apart

MINUTES, ROUNDS = 6, 5
SEEDED = True
COMPARED_WITH = "random"
SECONDS, SHORT = 30.0, 4.0
STRATEGIES = ("random", "halving", "hyperband", "packs", "evolution", "iepoch", "optuna")
COLUMNS = {  # of the table
    "validation": "of the best",
    "test": "of the best",
    "chosen validation": "of the choice",
    "chosen test": "of the choice",
    "trainings": "",
    "epochs": "",
}
IEPOCH_TRIALS = 4  # a second: it trains all its draws a little before the best go on to the end
MOST = 5_000  # trials of the others, more than there is time for


def measure(smallest: bool, seed: int = 0, seconds: float | None = None) -> Iterator[Measurement]:
    """What each strategy found, and how much it trained."""
    from benchmarks.digits_problem import SPACE

    budget = seconds or (SHORT if smallest else SECONDS)
    for strategy in STRATEGIES:
        if strategy == "optuna" and not importlib.util.find_spec("optuna"):
            continue
        for what, value in apart(found, SPACE, strategy, budget, seed).items():
            yield Measurement(strategy, what, value, COLUMNS[what])


def found(space: Mapping[str, Any], strategy: str, seconds: float, seed: int) -> dict[str, float]:
    """Search for some seconds, and say what was found.

    Parameters
    ----------
    space : mapping
        As `tuning.search` takes it.
    strategy : str
    seconds : float
        Of training.
    seed : int

    Returns
    -------
    dict of str to float
        A value for those of `COLUMNS` that there are: without a training to its end there is no
        score, and with fewer than three no choice.
    """
    import tuning
    from benchmarks.digits_problem import build_model, load_data

    results = tuning.search(
        build_model,
        space,
        load_data,
        strategy=strategy,
        trials=max(1, round(IEPOCH_TRIALS * seconds)) if strategy == "iepoch" else MOST,
        time=seconds,
        seed=seed,
        workers=WORKERS,
        keep=0,
        metric="val_accuracy",
    )
    return told(results, [name for name in space if name != "epochs"])


def told(results: Any, axes: list[str]) -> dict[str, float]:
    """The figures of a search's results; trials with equal values of all axes are one training."""
    from tuning.analysis.choice import choices

    rows = results.trials
    whole = rows[rows["status"] == "ok"]
    figures = {}
    if len(whole):
        best = whole.loc[whole["val_accuracy"].idxmax()]
        figures = {"validation": best["val_accuracy"], "test": best["test_accuracy"]}
    for choice in choices(rows, results.curves, results.manifest).values():
        figures["chosen validation"] = choice.row["val_accuracy"]
        figures["chosen test"] = choice.row["test_accuracy"]
    longest = rows.groupby(axes, dropna=False)["trained_epochs"].max()
    figures |= {"trainings": len(longest), "epochs": longest.sum()}
    return {name: float(value) for name, value in figures.items()}
