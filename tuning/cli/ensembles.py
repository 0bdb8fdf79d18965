"""The ensemble of a run, made on the command line."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tuning.api.results import Results
from tuning.api.settings import select_backend
from tuning.report.after import ensemble_sentence
from tuning.report.terminal import say
from tuning.runs.ensembles import MODEL, read_ensemble
from tuning.runs.typed import shown


def print_ensemble(run: Path, console: Console, *, k: int, selection: str, bags: int) -> None:
    """Make the ensemble of a run's best models, and print what it scores.

    Parameters
    ----------
    run : Path
        A run directory.
    console : rich.console.Console
    k, selection, bags
        As for `Results.ensemble`.

    Raises
    ------
    TuningError, RunStopped
        As `Results.ensemble` does.
    """
    results = Results(run)
    select_backend(results.manifest.backend)
    results.ensemble(k, selection, bags=bags)
    made = read_ensemble(run)
    assert made is not None
    say(console, ensemble_sentence(made, results.manifest))
    console.print(f"wrote {shown(run) / MODEL}", soft_wrap=True)
