"""Ray Tune in the race: random search with ASHA, one CPU a trial."""

import sys
import tempfile

from racing import REDUCTION, load, race, say, train


def trial(configuration, own=None, data=None):
    """Train one configuration, and report each epoch."""
    from ray import tune

    from tuning.problem.file import load_problem

    def report(epoch, accuracy):
        tune.report({"val_accuracy": accuracy, "held": own.held(epoch, accuracy)})

    train(own, load_problem(own.problem), data, configuration, report)


def main():
    """Search until a trial has reached the target, or time is over."""
    own = race()
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    _, data = load(own)
    ray.init(
        num_cpus=own.workers,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {**own.environment, "PYTHONPATH": ":".join(sys.path)}},
    )

    class Reached(tune.Stopper):
        best = 0.0

        def __call__(self, trial_id, result):
            self.best = max(self.best, result["held"])
            return self.stop_all()

        def stop_all(self):
            return self.best >= own.target

    stopper = Reached()
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(tune.with_parameters(trial, own=own, data=data), {"cpu": 1}),
            param_space={name: tune.choice(values) for name, values in own.axes.items()},
            tune_config=tune.TuneConfig(
                metric="val_accuracy",
                mode="max",
                search_alg=tune.search.BasicVariantGenerator(random_state=own.seed),
                scheduler=ASHAScheduler(max_t=own.longest, reduction_factor=REDUCTION),
                num_samples=-1,
                time_budget_s=own.seconds,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(stop=stopper, storage_path=folder, verbose=0),
        ).fit()
    say(stopper.best if stopper.stop_all() else None)


if __name__ == "__main__":
    sys.exit(main())
