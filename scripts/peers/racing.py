"""What the peers of the race share: what is sought, one training, and the end of a race."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common import ONE_THREAD

POLL_SECONDS = 0.05
REDUCTION = 3  # of successive halving, as the peers' papers and examples have it


@dataclass(frozen=True)
class Race:
    """What a script is called with, as JSON.

    Attributes
    ----------
    problem : str
    target : float
        The validation accuracy that ends the race.
    seconds : float
        The time after which it ends without.
    workers : int
        Trials at once.
    seed : int
        Of the tuner and of every training.
    backend : str
        Of Keras.
    """

    problem: str
    target: float
    seconds: float
    workers: int
    seed: int
    backend: str

    @property
    def grid(self):
        """The problem's grid."""
        from tuning.problem.file import load_problem

        return load_problem(self.problem).grid

    @property
    def axes(self):
        """The values of each hyperparameter but the epochs."""
        return {name: values for name, values in self.grid.axes.items() if name != "epochs"}

    @property
    def longest(self):
        """The most epochs of a training."""
        return max(self.grid.axes["epochs"])

    @property
    def environment(self):
        """One thread a process, and its backend."""
        return {**ONE_THREAD, "NPROC": "1", "KERAS_BACKEND": self.backend}

    def held(self, epoch, accuracy):
        """The accuracy, if a configuration of the grid ends at the epoch; else 0."""
        return accuracy if epoch in self.grid.axes["epochs"] else 0.0


def race():
    """The race that this process was called for."""
    own = Race(**json.loads(sys.argv[1]))
    os.environ.update(own.environment)
    return own


def load(own):
    """The problem and its data."""
    from tuning.problem.file import load_problem
    from tuning.problem.problem import load_data

    problem = load_problem(own.problem)
    return problem, load_data(problem)


def train(own, problem, data, configuration, report: Callable[[int, float], None]):
    """Train one configuration as a user would, and report each epoch's validation accuracy."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(own.seed)
    problem.build_model(configuration).fit(
        *data["train"],
        validation_data=data["validation"],
        batch_size=configuration["batch_size"],
        epochs=own.longest,
        callbacks=[reporting(report)],
        verbose=0,
    )


def reporting(report: Callable[[int, float], None]):
    """A callback of Keras that reports each epoch, counted from 1, and its accuracy."""
    import keras

    class Reporting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            report(epoch + 1, float(logs["val_accuracy"]))

    return Reporting()


class Finish:
    """The file by which a worker says that it has reached the target."""

    def __init__(self, own, folder):
        self._race, self._path = own, Path(folder) / "found.json"

    def hear(self, epoch, accuracy):
        """Note an accuracy that reaches the target."""
        if self._race.held(epoch, accuracy) >= self._race.target:
            new = self._path.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps(accuracy))
            new.rename(self._path)

    def reached(self):
        """The accuracy that was found, or None."""
        return json.loads(self._path.read_text()) if self._path.exists() else None


def race_of_processes(own, names, variable):
    """Run this script in several processes until one has reached the target, or time is over.

    Each finds its name in the environment by `variable`, and a shared directory as ``FOLDER``.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        finish = Finish(own, folder)
        processes = [
            subprocess.Popen(
                [sys.executable, *sys.argv],
                env={**os.environ, "FOLDER": folder, variable: name},
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            for name in names
        ]
        try:
            while finish.reached() is None and time.monotonic() - started < own.seconds:
                if any(process.poll() not in {None, 0} for process in processes):
                    sys.exit("a worker ended with an error")
                time.sleep(POLL_SECONDS)
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
        say(finish.reached())


def say(reached):
    """The accuracy that reached the target, or None, for the benchmark to read."""
    print(json.dumps({"reached": reached}))
