"""Optuna: a study in a file that several processes optimize."""

import os
import subprocess
import sys
import tempfile

from common import arguments, say_best, validation_accuracy


def storage(path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(path))


def work(path):
    import optuna

    problem, data, trials, _ = arguments()
    study = optuna.load_study(
        study_name="benchmark",
        storage=storage(path),
        sampler=optuna.samplers.GridSampler({"trial": trials}),
    )
    study.optimize(
        lambda trial: validation_accuracy(problem, data, trial.suggest_categorical("trial", trials))
    )


def main():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "STUDY" in os.environ:
        return work(os.environ["STUDY"])
    _, _, trials, workers = arguments()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/journal"
        study = optuna.create_study(
            study_name="benchmark", storage=storage(path), direction="maximize"
        )
        processes = [
            subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "STUDY": path})
            for _ in range(workers)
        ]
        for process in processes:
            process.wait()
        best = {}
        for trial in study.get_trials():
            if trial.value is not None:
                best[trial.params["trial"]] = trial.value
        assert set(best) == set(trials)
        say_best(best.values())
    return 0


if __name__ == "__main__":
    sys.exit(main())
