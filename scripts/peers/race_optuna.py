"""Optuna in the race: TPE with Hyperband's pruner, processes that share a journal."""

import os
import sys
from pathlib import Path

from racing import REDUCTION, Finish, load, race, race_of_processes, train

RANK = "RACE_RANK"


def work(own, rank):
    """Optimize the shared study until this process is ended."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder = os.environ["FOLDER"]
    problem, data = load(own)
    finish = Finish(own, folder)
    study = optuna.create_study(
        study_name="race",
        storage=JournalStorage(JournalFileBackend(str(Path(folder) / "journal"))),
        sampler=optuna.samplers.TPESampler(seed=own.seed * own.workers + rank, constant_liar=True),
        pruner=optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=own.longest, reduction_factor=REDUCTION
        ),
        direction="maximize",
        load_if_exists=True,
    )

    def objective(trial):
        last = 0.0

        def report(epoch, accuracy):
            nonlocal last
            last = accuracy
            finish.hear(epoch, accuracy)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        chosen = {name: trial.suggest_categorical(name, own.axes[name]) for name in own.axes}
        train(own, problem, data, chosen, report)
        return last

    study.optimize(objective)


def main():
    """Begin the workers, or be one of them."""
    own = race()
    if RANK in os.environ:
        work(own, int(os.environ[RANK]))
    else:
        race_of_processes(own, [str(rank) for rank in range(own.workers)], RANK)


if __name__ == "__main__":
    sys.exit(main())
