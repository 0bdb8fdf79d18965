"""The arguments of each command, and its `--help`."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import shtab

from tuning.api.ensembles import BEST, ENSEMBLE, GREEDY
from tuning.api.settings import DEFAULT_RANDOM, DEFAULT_SWEEP, EXECUTORS, KEEP
from tuning.errors import TuningError
from tuning.runs.manifest import REPEATS
from tuning.runs.typed import typed

BACKENDS = ("tensorflow", "jax", "torch")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise TuningError(message)


class Help(argparse.RawDescriptionHelpFormatter):
    """A help whose lines are as they are written, with room for the names of options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


@dataclass(frozen=True)
class Command:
    """A command: its name, what its help says, and its arguments.

    Attributes
    ----------
    name : str
    summary : str
        What it does, in a few words.
    about : str
        What it does, in a few sentences.
    examples : sequence of (str, str)
        Arguments, and what they do.
    add_arguments : callable
        Adds them to a parser.
    """

    name: str
    summary: str
    about: str
    examples: Sequence[tuple[str, str]]
    add_arguments: Callable[[argparse.ArgumentParser], None]

    def help(self) -> dict[str, Any]:
        """The arguments for an ArgumentParser."""
        words = shlex.join(typed(self.name))
        lines = [f"  {f'{words} {given}'.rstrip()}\n      {does}" for given, does in self.examples]
        return {
            "description": self.about,
            "epilog": "\n".join(["examples:", *lines]),
            "formatter_class": Help,
        }


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_executor(_add_search(parser))


def _add_search(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add all options of a search but that of the executor, which goes into the group returned."""
    _add_what(parser)
    add = parser.add_argument_group("the search").add_argument
    add(
        "--strategy",
        action="append",
        metavar="NAME",
        help="a strategy to search by, such as random or packs; may be given several times "
        "(random, a sweep and packs, one after another, each for as long as random took)",
    )
    add("--trials", type=int, metavar="N", help="trials of each strategy that is named")
    add(
        "--epochs-min",
        type=int,
        metavar="N",
        help="epochs after which a strategy may stop a training (1)",
    )
    add(
        "--reduction",
        type=int,
        metavar="N",
        help="of so many trainings, one goes on to so many times the epochs (3)",
    )
    add(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="another setting of the strategies that are named, its value as JSON or text; of one "
        "of them STRATEGY.NAME=VALUE, such as random.trajectories=true",
    )
    _complete(
        add(
            "--warm",
            type=_path,
            metavar="RUN",
            help="an earlier run to begin from: all but a sweep use what it found",
        ),
        shtab.DIRECTORY,
    )
    add("--random", type=int, metavar="N", help=f"random trials ({DEFAULT_RANDOM}); 0 for none")
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
        help="train only the K-th of N equal parts, as one of several drivers; the command merge "
        "joins them",
    )
    add("--seed", type=int, metavar="S", help="of the draw and of every training (0)")
    _add_budget(parser)
    add = parser.add_argument_group("results").add_argument
    _complete(
        add("--out", type=_path, metavar="DIR", help="a new run's directory, or one to go on with"),
        shtab.DIRECTORY,
    )
    add(
        "--keep",
        type=int,
        metavar="N",
        help=f"models of the best trials to keep, for each strategy ({KEEP})",
    )
    add(
        "--finalists",
        type=int,
        metavar="N",
        help="train the N best configurations again with other seeds once the search has ended (0)",
    )
    add(
        "--repeats",
        type=int,
        metavar="N",
        help=f"seeds of each finalist ({REPEATS}); without finalists, of each trial (1)",
    )
    add("--folds", type=int, metavar="K", help="validate each trial on K folds of the rows")
    add(
        "--keep-optimizer",
        action="store_true",
        help="keep their optimizers' state as well, to train on",
    )
    training = _add_how(parser)
    add = parser.add_argument_group("limits of a trial").add_argument
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
    return training


def _add_executor(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--executor",
        choices=EXECUTORS,
        help="whether workers are processes of this machine, or Ray's (Ray's if there is an "
        "--address or RAY_ADDRESS)",
    )


def _add_budget(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("when it ends, whichever comes first").add_argument
    add(
        "--time",
        metavar="DURATION",
        help="of training, such as 60s, 5m or 1h; what trains then ends with its epoch",
    )
    add(
        "--target",
        type=float,
        metavar="SCORE",
        help="a score of the metric that chooses: the first trial that reaches it ends the search",
    )
    add(
        "--stop-after",
        type=int,
        metavar="N",
        help="so many trials in a row that are no better than the best before them",
    )
    add("--epochs-total", type=int, metavar="N", help="epochs trained in all")


def _add_run_ray(parser: argparse.ArgumentParser) -> None:
    _add_search(parser)
    parser.set_defaults(executor="ray")
    add = parser.add_argument_group("instead of a search").add_argument
    add("--estimate", action="store_true", help="print what the whole grid would take, and end")
    add("--explain", action="store_true", help="print what shares a program, and end")


def _add_estimate(parser: argparse.ArgumentParser) -> None:
    _add_what(parser)
    _add_seed(parser, "of the trainings that are timed (0)")
    _add_executor(_add_how(parser))


def _add_explain(parser: argparse.ArgumentParser) -> None:
    _add_what(parser)
    _add_seed(parser, "of the models' initial weights (0)")
    parser.add_argument("--verbose", action="store_true", help="let libraries speak")


def _add_what(parser: argparse.ArgumentParser) -> None:
    problem = parser.add_argument(
        "--problem",
        metavar="FILE",
        help="a Python file with a grid, load_data and build_model; or a built-in problem's name "
        "(mnist_2_vs_7)",
    )
    _complete(problem, shtab.FILE)


def _add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--seed", type=int, metavar="S", help=what)


def _add_how(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("training")
    add = group.add_argument
    add(
        "--workers",
        type=int,
        metavar="N",
        help="trials at once, one CPU each (all CPUs); 0: in this process",
    )
    add(
        "--engine",
        choices=("auto", "fit"),
        help="auto trains together what shares a program, and the rest by fit, which is Keras' own",
    )
    add(
        "--backend", choices=BACKENDS, help="what Keras runs on (jax; with --engine fit tensorflow)"
    )
    add("--no-cache", dest="cache", action="store_false", help="keep no compiled programs on disk")
    add("--address", help="join the Ray cluster there")
    add("--verbose", action="store_true", help="let libraries and the workers speak")
    return group


def _add_analyse(parser: argparse.ArgumentParser) -> None:
    _add_directory(parser, "run", "DIR", "a run directory")
    others = parser.add_argument(
        "others",
        type=_path,
        nargs="*",
        default=[],  # or an error would call it required
        metavar="SEED_DIR",
        help="runs of the same problem with other seeds, which tell the noise between seeds",
    )
    _complete(others, shtab.DIRECTORY)
    parser.add_argument(
        "--again",
        type=int,
        metavar="N",
        help="first train N of the trials again, the best and others, from weights moved by a "
        "rounding error, and see how far they move",
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    _add_directory(parser, "table", "TABLE", "a run directory")
    add = parser.add_argument
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
    out = add(
        "--out", type=_path, metavar="FILE", help="write the searches there, as CSV, one row each"
    )
    _complete(out, shtab.FILE)


def _add_merge(parser: argparse.ArgumentParser) -> None:
    runs = parser.add_argument(
        "runs", type=_path, nargs="+", metavar="RUN", help="a run, or a directory that holds some"
    )
    _complete(runs, shtab.DIRECTORY)
    _add_directory(parser, "out", "OUT", "the run to make")


def _add_publish(parser: argparse.ArgumentParser) -> None:
    _add_directory(parser, "run", "DIR", "a run directory")
    _add_directory(parser, "out", "OUT", "the directory to make")


def _add_ensemble(parser: argparse.ArgumentParser) -> None:
    _add_directory(parser, "run", "DIR", "a run directory that keeps several models")
    add = parser.add_argument
    add("--k", type=int, default=ENSEMBLE, metavar="N", help=f"of the N best models ({ENSEMBLE})")
    add(
        "--selection",
        choices=(BEST, GREEDY),
        default=BEST,
        metavar="HOW",
        help="best: take each of them once (default); greedy: any number of times, by a greedy "
        "selection on the validation rows",
    )
    add(
        "--bags",
        type=int,
        default=0,
        metavar="N",
        help="of a greedy selection: select N times, each among another half of the models",
    )


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell to complete for")


def _add_directory(parser: argparse.ArgumentParser, name: str, metavar: str, what: str) -> None:
    action = parser.add_argument(name, type=_path, metavar=metavar, help=what)
    _complete(action, shtab.DIRECTORY)


def _complete(action: argparse.Action, what: Any) -> None:
    """Mark an argument that shells complete with files or directories."""
    action.complete = what  # type: ignore[attr-defined]  # where shtab looks


def _path(text: str) -> Path:
    """A path of this machine's filesystems; of none that only a client could reach."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise argparse.ArgumentTypeError(
            f"{text} is not a path: runs are kept in directories of mounted filesystems"
        )
    return Path(text)


RUN = Command(
    "run",
    "search the hyperparameters of a problem",
    "Search a grid of Keras hyperparameters in parallel, at random and by a partial\n"
    "sweep, and compare the two. Every trial is a row of the run's directory as soon\n"
    "as it is trained; an interrupted run goes on where it was.",
    (
        ("--problem wine.py --random 50 --sweep 0", "50 random configurations of your own problem"),
        ("--out results/wine", "go on with that run, or begin it"),
        ("", "the built-in study, in a few minutes"),
    ),
    _add_run,
)
RUN_RAY = Command(RUN.name, RUN.summary, RUN.about, RUN.examples, _add_run_ray)
ANALYSE = Command(
    "analyse",
    "print and draw what a run found",
    "Print the comparison of a run again, and write its report and figures into it.",
    (
        ("results/wine", "the comparison, report.html and the figures"),
        ("results/wine seeds/1 seeds/2", "with the noise between seeds"),
        ("results/wine --again 20", "with the noise of rounding, from 20 trials"),
    ),
    _add_analyse,
)
REPLAY = Command(
    "replay",
    "try a strategy on the results of a run, without training",
    "Run a search many times over the results of a run, in place of training.",
    (("results/full_grid --trials 20", "how good the best of 20 random trials is, on average"),),
    _add_replay,
)
MERGE = Command(
    "merge",
    "join the runs of one search, such as its shards",
    "Join runs of one problem and seed, such as the shards of a search, into one.",
    (("results/sharded results/whole", "the shards in one directory, as one run"),),
    _add_merge,
)
PUBLISH = Command(
    "publish",
    "write a run compactly, to be kept and passed on",
    "Write a run's tables compactly, to be kept and passed on.",
    (("results/wine wine_table", "its rows as Parquet files, and a manifest"),),
    _add_publish,
)
EXPLAIN = Command(
    "explain",
    "print which hyperparameters change the program",
    "Print for each hyperparameter whether configurations that differ in it can\n"
    "train together, as one compiled program, and why.",
    (("--problem wine.py", "what can train together"),),
    _add_explain,
)
ESTIMATE = Command(
    "estimate",
    "print how long a whole grid would take",
    "Time a few configurations, and print what training the whole grid would take.",
    (("--problem wine.py", "in time, on all CPUs"),),
    _add_estimate,
)
MAKE_ENSEMBLE = Command(
    "ensemble",
    "make one model that averages the best ones of a run",
    "Write ensemble.keras into a run: a plain Keras model that averages the outputs\n"
    "of the best models that the run keeps. Its scores stand in the report.",
    (
        ("results/wine --k 5", "of the five best, where the search had --keep 5 or more"),
        ("results/wine --k 20 --selection greedy", "of those that are best together"),
    ),
    _add_ensemble,
)
COMPLETION = Command(
    "completion",
    "print what lets a shell complete these commands",
    "Print a script that lets a shell complete commands and options.",
    (
        (
            "bash > ~/.local/share/bash-completion/completions/tuning",
            "for bash, from the next one on",
        ),
    ),
    _add_completion,
)
