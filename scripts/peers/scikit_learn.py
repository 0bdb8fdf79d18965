"""scikit-learn: RandomizedSearchCV over scikeras, `n_jobs` processes."""

import sys

import numpy as np
from common import arguments, say_best
from scikeras.wrappers import KerasClassifier
from sklearn.model_selection import PredefinedSplit, RandomizedSearchCV


def build(trial, problem):
    from tuning.problem.file import load_problem

    loaded = load_problem(problem)
    return loaded.build_model(loaded.grid[trial])


def main():
    problem, data, trials, workers = arguments()
    (x, y), (x_val, y_val) = data["train"], data["validation"]
    settings = [
        {
            "model__trial": [trial],
            "batch_size": [problem.grid[trial]["batch_size"]],
            "epochs": [problem.grid[trial]["epochs"]],
        }
        for trial in trials
    ]
    search = RandomizedSearchCV(
        KerasClassifier(build, model__problem=problem.name, verbose=0),
        settings,
        n_iter=len(trials),
        cv=PredefinedSplit(np.repeat([-1, 0], [len(x), len(x_val)])),
        scoring="accuracy",
        refit=False,
        n_jobs=workers,
        random_state=0,
    )
    search.fit(np.concatenate([x, x_val]), np.concatenate([y, y_val]))
    say_best(search.cv_results_["mean_test_score"])


if __name__ == "__main__":
    sys.exit(main())
