"""What the peers share: the problem, the configurations to train, and how a user trains one."""

import json
import os
import sys

ONE_THREAD = {  # a trial has one thread, as ours have
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "RAY_USAGE_STATS_ENABLED": "0",
}
os.environ.update(ONE_THREAD)


def arguments():
    """The problem, its data, the grid indices to train and the processes to train with."""
    from tuning.problem.file import load_problem
    from tuning.problem.problem import load_data

    job = json.loads(sys.argv[1])
    problem = load_problem(job["problem"])
    return problem, load_data(problem), job["trials"], job["workers"]


def validation_accuracy(problem, data, trial):
    """Train one configuration as a user would; the validation accuracy of its last epoch."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    configuration = problem.grid[trial]
    history = problem.build_model(configuration).fit(
        *data["train"],
        validation_data=data["validation"],
        batch_size=configuration["batch_size"],
        epochs=configuration["epochs"],
        verbose=0,
    )
    return history.history["val_accuracy"][-1]


def say_best(accuracies):
    """The result, for the benchmark to check."""
    values = [float(value) for value in accuracies]
    print(json.dumps({"trained": len(values), "best": max(values)}))
