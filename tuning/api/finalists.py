"""The training of finalists: the best configurations of a search, again with other seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tuning.analysis.choice import best_by_choice
from tuning.budget import Budget, Course
from tuning.engines.keeping import Keep
from tuning.execution.loop import Executor, Progress, trained
from tuning.packing.packs import Pack, Packer
from tuning.runs.columns import configuration_of_row
from tuning.runs.finalists import FinalistsTable
from tuning.runs.manifest import Manifest
from tuning.runs.run import Run
from tuning.runs.table import load_curves, load_results
from tuning.space.space import Space
from tuning.trial import SEEDS, Trial, epochs

SHOWN_AS = "finalists"  # where progress names a strategy


def train_finalists(
    run: Run, executor: Executor, packer: Packer, progress: Progress, keep: Keep
) -> None:
    """Train a run's best configurations with other seeds, and count what is missing of that.

    Which are the best is chosen by `tuning.analysis.choice`. The seeds are those behind the run's
    own, the same ones for each finalist. Finalists that share a program train in one pack, with all
    of their seeds. Of each the best model is kept, if the run keeps any.

    Parameters
    ----------
    run : Run
        Whose search has ended.
    executor : Executor
    packer : Packer
    progress : Progress
    keep : Keep
        Whether with the optimizer's state; the rest is filled in.

    Raises
    ------
    TuningError
        If the run's tables are damaged.
    RunStopped
        If the trainings cannot be counted.
    """
    manifest = run.manifest
    if not manifest.finalists.n:
        return
    with FinalistsTable(run) as table:
        trials = list(_trials(run, table))
        missing = [trial for trial in trials if not table.has(table.names[trial.point], trial.seed)]
        problem = manifest.problem
        course = Course(Budget(), problem.metric, problem.mode)
        progress.begun(len(trials), course, learns=False)
        progress.kept(len(trials) - len(missing))
        if not missing:
            return
        packs = packer.split(missing)
        for pack in packs:
            progress.planned(pack)
        best = replace(keep, n=1) if keep.n else None
        for heard in trained(executor, packs, lambda pack: _to_keep(pack, table, best)):
            outcomes = [(table.names[each.trial.point], each) for each in heard.report.outcomes]
            table.keep(heard.report.models)
            table.count(outcomes)
            progress.trained(heard.pack, heard.report, [(SHOWN_AS, each) for _, each in outcomes])
            if heard.ended:
                progress.ended(heard.pack)
            for pack in heard.again:
                progress.planned(pack)


def _trials(run: Run, table: FinalistsTable) -> Iterator[Trial]:
    """The trainings of the finalists, each finalist's in the order of the seeds."""
    manifest, space = run.manifest, run.manifest.space
    results, curves = load_results(run.path), load_curves(run.path)
    best = best_by_choice(results, curves, manifest, manifest.finalists.n)
    for row in best.to_dict("records"):
        configuration = configuration_of_row(row, space)  # type: ignore[arg-type]
        for trial in repeats_of(configuration, space, manifest):
            table.name(trial.point)
            yield trial


def repeats_of(configuration: dict[str, object], space: Space, manifest: Manifest) -> list[Trial]:
    """The trainings of a finalist: its number is that of the repeat."""
    return [
        Trial(
            number,
            configuration,
            (manifest.seed + 1 + number) % SEEDS,
            epochs(configuration),
            space.place(configuration),
        )
        for number in range(manifest.finalists.repeats)
    ]


def _to_keep(pack: Pack, table: FinalistsTable, keep: Keep | None) -> Keep | None:
    """The request to keep a pack's best models: which finalist each is of, what is kept so far."""
    if keep is None:
        return None
    wanted = {each.key: ((table.names[each.point], each.number),) for each in pack.trials}
    return replace(keep, wanted=wanted, bars=table.best.bars())
