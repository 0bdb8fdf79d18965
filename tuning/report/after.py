"""What was made of a run's best trials after its search, in a few sentences."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tuning.analysis.finalists import ranked_finalists
from tuning.analysis.run_view import RunView
from tuning.report.text import counted, named, number_text
from tuning.runs.ensembles import MODEL, Ensemble, read_ensemble
from tuning.runs.finalists import load_finalists
from tuning.runs.manifest import Manifest


def sentences_after_search(path: Path, results: pd.DataFrame, manifest: Manifest) -> list[str]:
    """The findings about a run's finalists and its ensemble; none where it has none.

    Parameters
    ----------
    path : Path
        A run directory.
    results : DataFrame
        As `tuning.load_results` returns it.
    manifest : Manifest
    """
    repeats = load_finalists(path)
    finalists = finalist_sentences(ranked_finalists(repeats, results, manifest), manifest)
    ensemble = read_ensemble(path)
    return [*finalists, *([ensemble_sentence(ensemble, manifest)] if ensemble else [])]


def ensemble_sentence(ensemble: Ensemble, manifest: Manifest) -> str:
    """What an ensemble consists of, and what it scores beside the best single model.

    Parameters
    ----------
    ensemble : Ensemble
    manifest : Manifest
    """
    names = RunView(manifest).score_names
    own, best = (
        ", ".join(f"{name} {number_text(scores.get(name))}" for name in names)
        for scores in (ensemble.scores, ensemble.best)
    )
    of = f"the {ensemble.asked:,} best models"
    if ensemble.selection != "best":
        of = f"{len(ensemble.parts):,} of {of}, greedily selected and weighted on validation data,"
    return f"The mean of {of} ({MODEL}) has {own}; the best single model has {best}."


def finalist_sentences(ranked: pd.DataFrame, manifest: Manifest) -> list[str]:
    """How the finalists fared with other seeds, and what to expect of the best of them.

    Parameters
    ----------
    ranked : DataFrame
        As `tuning.analysis.finalists.ranked_finalists` returns it.
    manifest : Manifest
    """
    view = RunView(manifest)
    metric, *tests = view.score_names
    if ranked.empty:
        return []
    best, n = ranked.iloc[0], len(ranked)
    seeds = int(best[f"{metric}_count"])
    if not seeds:
        return ["No finalist came to a result with another seed."]
    again = f"trained again with {counted(seeds, 'other seed')}"
    several = n > 1
    who = (
        f"Of {n:,} finalists, {again} each, the best is"
        if several
        else f"The finalist, {again}, is"
    )
    tested = "".join(f"; {test} {_mean(best, test)}" for test in tests)
    lucky = f"as the best of {n:,} means it is a little lucky, too, so " if several else ""
    test_data = ", such as the test data" if tests else ""
    return [
        f"{who} {named(best)}: {metric} {_mean(best, metric)} (mean and standard error), where the "
        f"search had {number_text(best[metric])}{tested}.",
        "The search did not choose by these seeds, so that the mean is not lucky as the best "
        f"single score is; {lucky}expect {metric} {number_text(best[f'{metric}_expected'])} of "
        "another training. The search did choose by these validation rows: scores on them may "
        f"still be a little better than on data that nothing was chosen by{test_data}.",
    ]


def _mean(row: pd.Series, name: str) -> str:
    """A mean with its standard error, where there are seeds enough to know that."""
    error = row[f"{name}_sem"]
    return number_text(row[f"{name}_mean"]) + ("" if pd.isna(error) else f" ± {error:.1g}")
