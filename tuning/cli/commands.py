"""The programs: `tuning`, and the scripts in scripts/, each of which is one of its commands."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from tuning.cli import jobs, parsers
from tuning.cli.jobs import Caller, Options, exit_code
from tuning.cli.parsers import Command, Parser
from tuning.errors import TuningError

Job = Callable[[Options, Caller], int]

ABOUT = """Search hyperparameters of Keras models on all CPUs of a machine or a cluster.

A problem is a Python file with a grid of values, a function load_data and a
function build_model. From a script or a notebook, call tuning.search instead."""
EXAMPLES = """examples:
  tuning run --random 10 --sweep 100 --out results/first
      a short search of the built-in problem
  tuning run --problem wine.py --out results/wine
      a search of your own, or going on with it
  tuning analyse results/wine
      what it found

Each command has more: tuning run --help"""


def main(arguments: list[str] | None = None) -> int:
    """The program `tuning`.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process unless told.

    Returns
    -------
    int
        The exit code: 0; 2 for a bad input; 1 if a run could not go on; 130 if interrupted, 143 if
        terminated. Without arguments given here a search is supervised, in a process of its own.
    """
    words = sys.argv[1:] if arguments is None else arguments
    known = bool(words) and words[0] in COMMANDS
    program = f"tuning {words[0]}" if known else "tuning"

    def job() -> int:
        if not words:
            _parser().print_help()
            return 0
        if not known and not words[0].startswith("-"):
            raise TuningError(_no_such(words[0]))
        options = vars(_parser().parse_args(words))
        own: Job = COMMANDS[options.pop("command")][1]
        return own(options, Caller(program, supervise=arguments is None))

    return exit_code(job, program)


def _no_such(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"take one of {', '.join(COMMANDS)}"
    return f"there is no command {name!r}; {hint}"


def _parser() -> Parser:
    """The parser of `tuning` with all its commands."""
    parser = Parser(
        prog="tuning",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=parsers.Help,
    )
    parser.add_argument(
        "--version", action="version", version=f"tuning {metadata.version('tuning')}"
    )
    each = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    for name, (command, _) in COMMANDS.items():
        command.add_arguments(each.add_parser(name, help=command.summary, **command.help()))
    return parser


def _complete(options: Options, caller: Caller) -> int:
    """Print what lets a shell complete the commands."""
    import shtab

    print(shtab.complete(_parser(), options["shell"]))
    return 0


COMMANDS: dict[str, tuple[Command, Job]] = {
    command.name: (command, job)
    for command, job in (
        (parsers.RUN, jobs.run),
        (parsers.ANALYSE, jobs.analyse),
        (parsers.EXPLAIN, jobs.explain),
        (parsers.ESTIMATE, jobs.estimate),
        (parsers.MERGE, jobs.merge),
        (parsers.REPLAY, jobs.replay),
        (parsers.PUBLISH, jobs.publish),
        (parsers.MAKE_ENSEMBLE, jobs.ensemble),
        (parsers.COMPLETION, _complete),
    )
}


def _script(command: Command, own: Job) -> Callable[[list[str] | None], int]:
    """A command as a program of its own; arguments and exit codes are as for `main`."""

    def program(arguments: list[str] | None = None) -> int:
        def job() -> int:
            parser = Parser(**command.help())
            command.add_arguments(parser)
            options: dict[str, Any] = vars(parser.parse_args(arguments))
            return own(options, Caller(name, supervise=arguments is None))

        name = Path(sys.argv[0]).name
        return exit_code(job, name)

    return program


run_ray = _script(parsers.RUN_RAY, jobs.run_or_else)
analyse = _script(parsers.ANALYSE, jobs.analyse)
replay = _script(parsers.REPLAY, jobs.replay)
merge = _script(parsers.MERGE, jobs.merge)
publish = _script(parsers.PUBLISH, jobs.publish)
