"""The work of each command: calls of the API, and an exit code."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tuning.api.settings import Request
from tuning.budget import Budget, seconds_of
from tuning.cli import running
from tuning.errors import RunStopped, TuningError
from tuning.execution.supervisor import INTERRUPTED, supervised
from tuning.report.terminal import BROKEN_PIPE, Output, close_unread, open_streams
from tuning.runs.typed import shown

Options = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """The name by which a command was called.

    Attributes
    ----------
    program : str
        What its errors begin with, such as ``tuning run``.
    supervise : bool
        Whether it works in a child process, whose end is told whatever it is.
    """

    program: str
    supervise: bool = True


def exit_code(job: Callable[[], int], program: str) -> int:
    """Do a job, and say what went wrong in one sentence that begins with the program's name.

    Returns
    -------
    int
        That of the job: 0; 2 for a bad input; 1 if a run could not go on; 130 if interrupted, 143
        if terminated; 141 if nobody reads what it prints.
    """
    open_streams()
    try:
        try:
            return job()
        except TuningError as error:
            return _say(program, " ".join(str(error).split()), 2)
        except RunStopped as error:
            return _say(program, str(error), 1)
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return _say(program, f"{where}{error.strerror or error}", 2)
        except KeyboardInterrupt:
            return _say(program, "stopped", INTERRUPTED)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        close_unread()
        return BROKEN_PIPE


def _say(program: str, sentence: str, code: int) -> int:
    try:
        print(f"{program}: {sentence}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        close_unread()
    return code


def run(options: Options, caller: Caller) -> int:
    """Search, in a process of its own if it is to be supervised."""

    def work(request: Request) -> None:
        running.run_search(request, Output(goes_on=True), Output(stderr=True, goes_on=True))

    request = request_of(options)
    return _apart(request, work, running.known_of(request), caller)


def request_of(options: Options) -> Request:
    """The request that the options of a search mean.

    Raises
    ------
    TuningError
        For one that means nothing.
    """
    if "time" not in options:  # of a command that trains no search
        return Request(**options)
    time, epochs = options.pop("time"), options.pop("epochs_total")
    budget = Budget(
        time=None if time is None else seconds_of(time),
        target=options.pop("target"),
        stop_after=options.pop("stop_after"),
        epochs=epochs,
    )
    given = dict(map(_setting, options.pop("set") or ()))
    for name in ("epochs_min", "reduction"):
        if (value := options.pop(name)) is not None:
            given[name] = value
    needing = [*(["trials"] if options["trials"] is not None else []), *given]
    if options["strategy"] is None and needing:
        option = f"--{needing[0].replace('_', '-')}"
        raise TuningError(f"{option} is a setting of a strategy: name one by --strategy")
    return Request(**options, budget=budget, given=given)


def _setting(text: str) -> tuple[str, Any]:
    """The name and value of a setting: ``NAME=VALUE``, or ``STRATEGY.NAME=VALUE``."""
    name, equals, value = text.partition("=")
    parts = name.split(".")
    if not equals or len(parts) > 2 or not all(map(str.isidentifier, parts)):
        raise TuningError(f"--set takes NAME=VALUE, such as members=8, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def explain(options: Options, caller: Caller) -> int:
    """Print what of a problem's configurations shares a program."""

    def work(request: Request) -> None:
        running.print_explanation(request, Output(), Output(stderr=True))

    return _apart(request_of(options), work, {"writes": False}, caller)


def estimate(options: Options, caller: Caller) -> int:
    """Print what training a problem's whole grid would take."""

    def work(request: Request) -> None:
        running.print_estimate(request, Output(), Output(stderr=True))

    return _apart(request_of(options), work, {"writes": False}, caller)


def run_or_else(options: Options, caller: Caller) -> int:
    """Search; or print an estimate or an explanation, as `scripts/run_ray.py` does if asked."""
    instead = {"explain": explain, "estimate": estimate}
    asked = [job for name, job in instead.items() if options.pop(name)]
    return (*asked, run)[0](options, caller)


def analyse(options: Options, caller: Caller) -> int:
    """Print and draw what a run's files say."""
    from tuning.report.analyse import analyse

    console = Output()
    if options["again"] is not None:
        from tuning.api.steadiness import train_again

        train_again(options["run"], options["again"], Output(stderr=True))
    analyse(options["run"], options["others"], console)
    return 0


def replay(options: Options, caller: Caller) -> int:
    """Search over the results of a run, many times."""
    from tuning.cli.replaying import print_replays

    print_replays(options.pop("table"), Output(), **options)
    return 0


def ensemble(options: Options, caller: Caller) -> int:
    """Make one model of a run's best ones."""
    from tuning.cli.ensembles import print_ensemble

    print_ensemble(options.pop("run"), Output(), **options)
    return 0


def publish(options: Options, caller: Caller) -> int:
    """Write a run's tables compactly."""
    from tuning.runs.publish import publish

    about = publish(options["run"], options["out"])
    Output().print(
        f"{about.trials:,} trials and {about.epochs:,} epochs are in {shown(options['out'])}/.",
        soft_wrap=True,
    )
    return 0


def merge(options: Options, caller: Caller) -> int:
    """Join runs into one."""
    from tuning.api.merge import merge

    merge(options["runs"], options["out"], Output())
    return 0


def _apart(
    request: Request,
    work: Callable[[Request], object],
    known: dict[str, Any],
    caller: Caller,
) -> int:
    """Do the work, in a child process if it is to be supervised."""

    def job() -> int:
        work(request)
        return 0

    def stopped(facts: dict[str, Any]) -> None:
        running.say_stopped(facts, Output(stderr=True, goes_on=True))

    if not caller.supervise:
        return job()
    child = functools.partial(exit_code, job, caller.program)
    return supervised(child, stopped, known=known, verbose=request.verbose)
