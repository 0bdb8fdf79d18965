"""The command that replays searches over a table, as far as it prints."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tuning.analysis.best_of_n import best_of
from tuning.analysis.grid_scores import grid_scores
from tuning.api.replay import find_sampler, replays
from tuning.errors import TuningError
from tuning.report.analyse import load_tables, writing
from tuning.report.tables import replay_table
from tuning.report.terminal import print_table, say
from tuning.runs.table import load_curves
from tuning.runs.typed import shown
from tuning.samplers import strategies, strategy


def print_replays(
    table: Path,
    console: Console,
    *,
    sampler: str,
    trials: int,
    repeats: int,
    seed: int,
    at_once: int,
    out: Path | None,
) -> None:
    """Run a search many times over a run's results, and print what it finds.

    Parameters
    ----------
    table : Path
        A run directory.
    console : rich.console.Console
    sampler : str
        As `tuning.api.replay.find_sampler` takes it.
    trials, repeats, seed, at_once : int
        Of each search; how many; the first one's seed; and how many trials are asked for at once.
    out : Path, optional
        Where to write the searches, as CSV.

    Raises
    ------
    TuningError
        If the directory is not a run or its table is damaged, there is no such sampler, or it does
        not do what a sampler does.
    """
    for name, number in (("--trials", trials), ("--repeats", repeats), ("--at-once", at_once)):
        if number < 1:
            raise TuningError(f"{name} takes a number from 1, not {number}")
    make = find_sampler(sampler)
    scores = grid_scores(*load_tables(table))
    curves = load_curves(table) if sampler in strategies() and strategy(sampler).pauses else None
    if trials > len(scores.trials):
        raise TuningError(
            f"--trials {trials} is more than {table} has: a search over it has at most "
            f"{len(scores.trials)}"
        )
    with console.status("Searching"):
        found = replays(scores, make, trials, range(seed, seed + repeats), at_once, curves=curves)
    if out:
        with writing(out):
            found.to_csv(out, index=False)
    whole = "all" if scores.is_whole else f"{len(scores.trials):,}"
    say(
        console,
        f"{repeats:,} searches of {trials:,} trials by {sampler}, over {whole} of the grid's "
        f"{scores.grid.size:,} configurations:",
    )
    exact = None
    if sampler == "random":
        exact = best_of(scores.values, scores.mode, scores.tests, most=trials)
    print_table(console, replay_table(found, scores, exact))
    if found["trials"].min() < trials:
        console.print(f"Some ended after {found['trials'].min():,} trials.")
    if out:
        console.print(f"wrote {shown(out)}", soft_wrap=True)
