"""KerasTuner in the race: Hyperband, in its distributed mode of a chief and several workers."""

import os
import socket
import sys

from racing import REDUCTION, Finish, load, race, race_of_processes, reporting

NAME = "KERASTUNER_TUNER_ID"
ITERATIONS = 1000  # of all brackets, more than there is time for


def work(own):
    """Search until this process is ended; the chief answers the workers."""
    import keras
    import keras_tuner

    folder = os.environ["FOLDER"]
    problem, data = load(own)
    finish = Finish(own, folder)

    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            keras.utils.set_random_seed(own.seed)
            return problem.build_model({name: hp.Choice(name, own.axes[name]) for name in own.axes})

        def fit(self, hp, model, *args, **settings):
            settings["callbacks"] = [*settings["callbacks"], reporting(finish.hear)]
            return model.fit(*args, batch_size=hp.get("batch_size"), **settings)

    keras_tuner.Hyperband(
        Model(),
        objective="val_accuracy",
        max_epochs=own.longest,
        factor=REDUCTION,
        hyperband_iterations=ITERATIONS,
        seed=own.seed,
        directory=folder,
        project_name="race",
    ).search(*data["train"], validation_data=data["validation"], verbose=0)


def main():
    """Begin the chief and the workers, or be one of them."""
    own = race()
    if NAME in os.environ:
        return work(own)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        os.environ["KERASTUNER_ORACLE_PORT"] = str(probe.getsockname()[1])
    os.environ["KERASTUNER_ORACLE_IP"] = "127.0.0.1"
    names = ["chief", *(f"tuner{rank}" for rank in range(own.workers))]
    return race_of_processes(own, names, NAME)


if __name__ == "__main__":
    sys.exit(main())
