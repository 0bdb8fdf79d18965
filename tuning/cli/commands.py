"""The command lines of scripts/: arguments in, calls out."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tuning.api.settings import DEFAULT_SWEEP, Request
from tuning.cli import running
from tuning.errors import RunStopped, TuningError
from tuning.execution.supervisor import INTERRUPTED, supervised
from tuning.report.terminal import BROKEN_PIPE, Output, close_unread, open_streams

BACKENDS = ("tensorflow", "jax", "torch")


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise TuningError(message)


def run_ray(arguments: list[str] | None = None) -> int:
    """The main job: `scripts/run_ray.py`.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process unless told.

    Returns
    -------
    int
        The exit code: 0; 2 for a bad input; 1 if a run could not go on; 130 if interrupted,
        143 if terminated. Without arguments the job is supervised, in a process of its own.
    """
    parser = _Parser(
        description="Search a grid of Keras hyperparameters in parallel, at random and by a "
        "partial sweep, and compare the two.",
    )
    add = parser.add_argument
    add("--random", type=int, metavar="N", help="random trials (20); 0 for none")
    add(
        "--sweep",
        metavar="N|A:B|all",
        help=f"the sweep's trials: the first N of the grid ({DEFAULT_SWEEP['auto']:,}; with "
        f"--engine fit {DEFAULT_SWEEP['fit']}), a range, all; 0 for none",
    )
    add(
        "--sweep-order",
        choices=("grid", "spaced"),
        help="whether a sweep of N takes the grid's first points (default) or evenly spaced ones",
    )
    add(
        "--shard",
        metavar="K/N",
        help="train only the K-th of N equal parts, as one of several drivers; scripts/merge.py "
        "joins them",
    )
    add("--seed", type=int, metavar="S", help="of the draw and of every training (0)")
    add("--workers", type=int, metavar="N", help="trials at once, one CPU each (all CPUs)")
    add(
        "--engine",
        choices=("auto", "fit"),
        help="auto trains together what shares a program, and the rest by fit, which is Keras' own",
    )
    add(
        "--backend", choices=BACKENDS, help="what Keras runs on (jax; with --engine fit tensorflow)"
    )
    add("--no-cache", dest="cache", action="store_false", help="keep no compiled programs on disk")
    add("--problem", metavar="FILE", help="a problem's Python file, or a built-in one's name")
    add("--out", type=_path, metavar="DIR", help="a new run's directory, or a run to go on with")
    add("--address", help="join the Ray cluster there instead of starting one")
    add(
        "--trial-timeout",
        type=float,
        metavar="SECONDS",
        help="end a trial that takes longer, and go on with the others",
    )
    add(
        "--trial-memory",
        metavar="SIZE",
        help="end a trial whose worker takes more, such as 4GB, and go on with the others",
    )
    add("--estimate", action="store_true", help="print what the whole grid would take, and end")
    add("--explain", action="store_true", help="print what shares a program, and end")
    add("--verbose", action="store_true", help="let Ray, TensorFlow and the workers speak")

    def stopped(facts: dict[str, Any]) -> None:
        running.say_stopped(facts, Output(stderr=True, goes_on=True))

    def job() -> int:
        options = vars(parser.parse_args(arguments))
        estimate, explain = options.pop("estimate"), options.pop("explain")
        request = Request(**options)

        def work() -> int:
            if explain:
                running.print_explanation(request, Output(), Output(stderr=True))
                return 0
            if estimate:
                running.print_estimate(request, Output(), Output(stderr=True))
                return 0
            return running.run_search(
                request, Output(goes_on=True), Output(stderr=True, goes_on=True)
            )

        if arguments is not None:
            return work()
        known = {"writes": False} if explain or estimate else running.known_of(request)
        return supervised(lambda: _exit_code(work), stopped, known=known, verbose=request.verbose)

    return _exit_code(job)


def analyse(arguments: list[str] | None = None) -> int:
    """What a run's files say: `scripts/analyse.py`. Arguments and exit codes as for `run_ray`."""
    parser = _Parser(
        description="Print the comparison of a run again, and write its report and figures."
    )
    parser.add_argument("run", type=_path, metavar="DIR", help="a run directory")
    parser.add_argument(
        "others",
        type=_path,
        nargs="*",
        default=[],  # or an error would call it required
        metavar="SEED_DIR",
        help="runs of the same problem with other seeds, which tell the noise between seeds",
    )
    parser.add_argument(
        "--again",
        type=int,
        metavar="N",
        help="first train N of the trials again, the best and others, from weights moved by a "
        "rounding error, and see how far they move",
    )

    def job() -> int:
        from tuning.report import analyse

        options = parser.parse_args(arguments)
        if options.again is not None:
            from tuning.api.steadiness import train_again

            train_again(options.run, options.again, Output(stderr=True))
        analyse.analyse(options.run, options.others, Output())
        return 0

    return _exit_code(job)


def replay(arguments: list[str] | None = None) -> int:
    """Searches over a table: `scripts/replay.py`. Arguments and exit codes as for `run_ray`."""
    parser = _Parser(
        description="Run a search many times over the results of a run, in place of training."
    )
    add = parser.add_argument
    add("table", type=_path, metavar="TABLE", help="a run directory")
    add(
        "--sampler",
        default="random",
        help="random (default), sweep, spaced, or a class of one's own as FILE.py:CLASS, called "
        "with the grid, the number of trials and a seed",
    )
    add("--trials", type=int, default=20, metavar="N", help="of each search (20)")
    add("--repeats", type=int, default=1000, metavar="N", help="searches, each another seed (1000)")
    add("--seed", type=int, default=0, metavar="S", help="of the first search (0)")
    add("--at-once", type=int, default=1, metavar="N", help="trials asked for at once (1)")
    add("--out", type=_path, metavar="FILE", help="write the searches there, as CSV, one row each")

    def job() -> int:
        from tuning.cli.replaying import print_replays

        options = vars(parser.parse_args(arguments))
        print_replays(options.pop("table"), Output(), **options)
        return 0

    return _exit_code(job)


def publish(arguments: list[str] | None = None) -> int:
    """A run made small: `scripts/publish.py`. Arguments and exit codes as for `run_ray`."""
    parser = _Parser(description="Write a run's tables compactly, to be kept and passed on.")
    parser.add_argument("run", type=_path, metavar="DIR", help="a run directory")
    parser.add_argument("out", type=_path, metavar="OUT", help="the directory to make")

    def job() -> int:
        from tuning.report.terminal import shown
        from tuning.runs.publish import publish

        options = parser.parse_args(arguments)
        about = publish(options.run, options.out)
        Output().print(
            f"{about.trials:,} trials and {about.epochs:,} epochs are in {shown(options.out)}/.",
            soft_wrap=True,
        )
        return 0

    return _exit_code(job)


def merge(arguments: list[str] | None = None) -> int:
    """Runs of one search joined: `scripts/merge.py`. Arguments and exit codes as for `run_ray`."""
    parser = _Parser(
        description="Join runs of one problem and seed, such as the shards of a search, into one."
    )
    parser.add_argument(
        "runs", type=_path, nargs="+", metavar="RUN", help="a run, or a directory that holds some"
    )
    parser.add_argument("out", type=_path, metavar="OUT", help="the run to make")

    def job() -> int:
        from tuning.api.merge import merge

        options = parser.parse_args(arguments)
        merge(options.runs, options.out, Output())
        return 0

    return _exit_code(job)


def _path(text: str) -> Path:
    """A path of this machine's filesystems; of none that only a client could reach."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise argparse.ArgumentTypeError(
            f"{text} is not a path: runs are kept in directories of mounted filesystems"
        )
    return Path(text)


def _exit_code(job: Callable[[], int]) -> int:
    open_streams()
    try:
        try:
            return job()
        except TuningError as error:
            return _say(" ".join(str(error).split()), 2)
        except RunStopped as error:
            return _say(str(error), 1)
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return _say(f"{where}{error.strerror or error}", 2)
        except KeyboardInterrupt:
            return _say("stopped", INTERRUPTED)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        close_unread()
        return BROKEN_PIPE


def _say(sentence: str, code: int) -> int:
    try:
        print(f"{Path(sys.argv[0]).name}: {sentence}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        close_unread()
    return code
