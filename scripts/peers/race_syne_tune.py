"""Syne Tune in the race: BOHB, a process a trial."""

import argparse
import os
import sys
import tempfile

from racing import REDUCTION, Race, load, race, say, train

SLEEP_SECONDS = 0.1  # between two looks at the trials, instead of 5
NEVER = 10**9


def trial(own, given):
    """Train the configuration of a command line, and report each epoch."""
    from syne_tune import Reporter

    reporter = Reporter()
    configuration = {
        name: next(value for value in values if str(value) == given[name])
        for name, values in own.axes.items()
    }

    def report(epoch, accuracy):
        reporter(epoch=epoch, val_accuracy=accuracy, held=own.held(epoch, accuracy))

    train(own, *load(own), configuration, report)


def search(own):
    """Search until a trial has reached the target, or time is over."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import choice
    from syne_tune.optimizer.baselines import BOHB

    space = {name: choice(values) for name, values in own.axes.items()}
    scheduler = BOHB(
        {**space, **vars(own)},
        metric="val_accuracy",
        time_attr="epoch",
        max_t=own.longest,
        do_minimize=False,
        random_seed=own.seed,
        reduction_factor=REDUCTION,
    )
    best = 0.0

    def over(status):
        nonlocal best
        best = status.overall_metric_statistics.max_metrics.get("held", 0.0)
        return best >= own.target or limit(status)

    limit = StoppingCriterion(max_wallclock_time=own.seconds)
    Tuner(
        LocalBackend(entry_point=__file__),
        scheduler,
        stop_criterion=over,
        n_workers=own.workers,
        sleep_time=SLEEP_SECONDS,
        max_failures=1,
        save_tuner=False,
    ).run()
    say(best if best >= own.target else None)


def main():
    """Search, or be the process of a trial, which has the race and its configuration as options."""
    if len(sys.argv) == 2:
        own = race()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SYNETUNE_FOLDER"] = folder
            search(own)
        return
    parser = argparse.ArgumentParser()
    for name, kind in Race.__annotations__.items():
        parser.add_argument(f"--{name}", type=kind)
    own_options, others = parser.parse_known_args()
    given = dict(zip((name[2:] for name in others[::2]), others[1::2], strict=True))
    own = Race(**vars(own_options))
    os.environ.update(own.environment)
    trial(own, given)


if __name__ == "__main__":
    sys.exit(main())
