"""Ray Tune: a Tuner over the configurations, one CPU a trial."""

import sys

from common import ONE_THREAD, arguments, say_best, validation_accuracy


def train(config, problem=None, data=None):
    from tuning.problem.file import load_problem

    accuracy = validation_accuracy(load_problem(problem), data, config["trial"])
    return {"val_accuracy": accuracy}


def main():
    import ray
    from ray import tune

    problem, data, trials, workers = arguments()
    ray.init(
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {**ONE_THREAD, "PYTHONPATH": ":".join(sys.path)}},
    )
    trainable = tune.with_parameters(train, problem=problem.name, data=data)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"trial": tune.grid_search(trials)},
        tune_config=tune.TuneConfig(metric="val_accuracy", mode="max"),
        run_config=tune.RunConfig(verbose=0),
    )
    results = tuner.fit()
    say_best(result.metrics["val_accuracy"] for result in results)


if __name__ == "__main__":
    sys.exit(main())
