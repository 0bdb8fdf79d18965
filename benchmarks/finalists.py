"""What are finalists and ensembles worth in scores on test data?

On the published table of the built-in problem, of which a tenth was trained with three seeds:
random searches are drawn from that tenth with seed 0, and their finalists have the seeds 1 and 2.
Live on three problems: random search, five finalists with five seeds each, and ensembles of the
models kept. A row is a way to choose one model: what it says to expect in validation, and what the
model has in test. The table's rows are means over many searches; live, each round is a search.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measuring import PROBLEM, REPOSITORY, WORKERS, Measurement, apart

MINUTES, ROUNDS = 6, 10
SEEDED = True
SEARCHES, TRIALS = 200, 100  # on the table
FINALISTS, REPEATS, KEEP = 5, 5, 10
METRICS = {  # of each problem that is searched live; neither has penalties on weights in it
    PROBLEM: "val_accuracy",
    "digits_cnn": "val_accuracy",
    "diabetes_mlp": "val_mean_absolute_error",
}
LIVE_TRIALS = {PROBLEM: 60, "digits_cnn": 60, "diabetes_mlp": 100}
SEEDS = ("seed-1", "seed-2")  # folders of the table with other seeds


def measure(smallest: bool, seed: int = 0, seconds: float | None = None) -> Iterator[Measurement]:
    """What each way to choose says to expect, and has in test; `seconds` are of no use here."""
    if seed == 0:
        told = [simulated(search) for search in range(2 if smallest else SEARCHES)]
        for who in told[0]:
            for place, what in enumerate(("says", "test")):
                value = float(np.mean([each[who][place] for each in told]))
                yield Measurement(f"{PROBLEM} (table), {who}", what, value, "")
    for name in ["diabetes_mlp"] if smallest else METRICS:
        trials = 4 if smallest else LIVE_TRIALS[name]
        sizes = (2, 2, 3) if smallest else (FINALISTS, REPEATS, KEEP)
        for who, scores in apart(found, name, seed, trials, sizes).items():
            for what, value in zip(("says", "test"), scores, strict=True):
                yield Measurement(f"{name}, {who}", what, value, "")


@functools.cache
def tables() -> tuple[Any, pd.DataFrame, list[pd.DataFrame]]:
    """The published table's manifest, and the rows of the tenth that has three seeds, by index."""
    from tuning import load_results
    from tuning.runs.manifest import read_manifest

    path = REPOSITORY / "results" / PROBLEM
    others = [load_results(path / folder).set_index("index", drop=False) for folder in SEEDS]
    whole = load_results(path).set_index("index", drop=False)
    return read_manifest(path), whole.loc[others[0].index], others


def simulated(search: int) -> dict[str, tuple[float, float]]:
    """What a random search of the table chooses in each way: what it says, and its test score."""
    from tuning.analysis.choice import best_by_choice, choice_of_all
    from tuning.analysis.finalists import ranked_finalists
    from tuning.runs.columns import curve_columns

    manifest, first, others = tables()
    metric, test = "val_accuracy", "test_accuracy"
    rows = first.sample(TRIALS, random_state=search).reset_index(drop=True)
    curves = pd.DataFrame(columns=curve_columns(metric))
    best = rows.loc[rows[metric].idxmax()]
    choice = choice_of_all(rows, curves, manifest)
    assert choice is not None
    chosen = best_by_choice(rows, curves, manifest, FINALISTS)["index"]
    repeats = pd.concat(
        [
            table.loc[[index]].assign(strategy=f"finalist_{place}", trial=repeat)
            for place, index in enumerate(chosen)
            for repeat, table in enumerate(others)
        ],
        ignore_index=True,
    )
    finalist = ranked_finalists(repeats, rows, manifest).iloc[0]
    own = repeats[repeats["strategy"] == finalist["finalist"]]
    return {
        "best single": (best[metric], best[test]),
        "choice": (choice.expected, choice.row[test]),
        f"best of {FINALISTS} finalists": (
            finalist[f"{metric}_expected"],
            own.loc[own[metric].idxmax(), test],
        ),
    }


def found(
    name: str, seed: int, trials: int, sizes: tuple[int, int, int]
) -> dict[str, tuple[float, float]]:
    """What a live search of a problem chooses in each way: what it says, and its test score.

    Parameters
    ----------
    name : str
        Of a built-in problem.
    seed, trials : int
        Of the search.
    sizes : tuple of int
        Its finalists, the seeds of each, and the models kept.
    """
    import tuning
    from tuning.runs.finalists import load_finalists

    finalists, repeats, keep = sizes
    problem = importlib.import_module(f"tuning.problems.{name}")
    metric = METRICS[name]
    test = metric.replace("val_", "test_")
    results = tuning.search(
        problem.build_model, problem.grid, problem.load_data,
        trials=trials, seed=seed, metric=metric, workers=WORKERS,
        finalists=finalists, repeats=repeats, keep=keep,
    )  # fmt: skip
    best, choice = results.best().iloc[0], results.choice()
    finalist = results.finalists().iloc[0]
    each = load_finalists(results.path)
    own = each[each["strategy"] == finalist["finalist"]].sort_values(metric, kind="stable")
    kept = own.iloc[-1 if results.manifest.problem.mode == "max" else 0]
    told = {
        "best single": (best[metric], best[test]),
        "choice": (choice["expected"], choice[test]),
        f"best of {finalists} finalists": (finalist[f"{metric}_expected"], kept[test]),
    }
    for selection, k in (("best", (keep + 1) // 2), ("greedy", keep)):
        results.ensemble(k, selection)
        scores = results.ensemble_scores().loc["ensemble"]
        who = f"mean of the best {k}" if selection == "best" else f"greedy among the best {k}"
        told[who] = (scores[metric], scores[test])
    return {who: (float(says), float(value)) for who, (says, value) in told.items()}
