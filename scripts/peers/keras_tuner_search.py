"""KerasTuner: RandomSearch, in its distributed mode of a chief and several workers."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from common import arguments, say_best, validation_accuracy


def tuner(problem, data, trials, folder):
    import keras_tuner

    class Tuner(keras_tuner.RandomSearch):
        def run_trial(self, trial, *_, **__):  # the tuner counts its trials from 0
            index = trials[int(trial.trial_id)]
            return {"val_accuracy": validation_accuracy(problem, data, index)}

    space = keras_tuner.HyperParameters()
    space.Float("any", 0.0, 1.0)
    return Tuner(
        hyperparameters=space,
        tune_new_entries=False,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=len(trials),
        directory=folder,
        project_name="benchmark",
    )


def main():
    problem, data, trials, workers = arguments()
    if "KERASTUNER_TUNER_ID" in os.environ:
        tuner(problem, data, trials, os.environ["FOLDER"]).search()
        return 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "FOLDER": folder,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": port,
        }
        names = ["chief", *(f"tuner{i}" for i in range(workers))]
        processes = [
            subprocess.Popen(
                [sys.executable, *sys.argv],
                env={**environment, "KERASTUNER_TUNER_ID": name},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in names
        ]
        for process in processes[1:]:
            process.wait()
        processes[0].terminate()
        done = Path(folder).glob("benchmark/trial_*/trial.json")
        say_best(json.loads(path.read_text())["score"] for path in done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
