"""The page of a run: one file of HTML, which needs nothing else to be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tuning.analysis.best_of_n import BestOf
from tuning.analysis.compare import Comparison
from tuning.analysis.grid_scores import GridScores
from tuning.analysis.seed_noise import Noise
from tuning.report.answer import answer, caveat, question
from tuning.report.sections import sections
from tuning.report.terminal import duration
from tuning.report.text import axis_text, number_text, size_text
from tuning.runs.manifest import chosen_by, write_text
from tuning.space.grid import Grid

PAGE = "report.html"
MOST_ROWS = 100


def write_page(
    path: Path,
    comparison: Comparison,
    scores: GridScores,
    found: BestOf,
    noise: Noise | None,
    *,
    after: Sequence[str] = (),
) -> None:
    """Write a run's page.

    Of a run that trained the whole grid it says what any random search of it would have found; of
    any other it says what the trained configurations tell, and nothing of the rest.

    Parameters
    ----------
    path : Path
        The file to write.
    comparison : Comparison
    scores : GridScores
    found : BestOf
        Of the scores.
    noise : Noise, optional
        Of the same problem trained with other seeds too.
    after : sequence of str
        Sentences about what was made of the best trials after the search.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tuning.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    html = environment.get_template("report.html.jinja").render(
        question=question(comparison, scores),
        problem=scores.manifest.problem.name,
        answer=[*answer(comparison, scores, found, noise), *caveat(scores), *after],
        whole=scores.is_whole,
        sections=sections(comparison, scores, found, noise),
        best=_best(scores),
        made=_made(scores, noise),
    )
    write_text(path, html)


def _best(scores: GridScores) -> dict[str, Any]:
    """The best trials as the page's table: names of columns, and rows of (text, sort key)."""
    names = list(dict.fromkeys([*scores.score_names, "val_loss"]))
    order = np.argsort(scores.ranks, kind="stable")[:MOST_ROWS]
    order = order[~np.isnan(scores.ranks[order])]
    space = scores.space
    is_grid = isinstance(space, Grid)
    rows = []
    for place in order:
        row = scores.trials.iloc[place]
        cells = [(f"{scores.ranks[place]:.0f}", scores.ranks[place])]
        cells += [(number_text(row[name]), row[name]) for name in names]
        key = scores.trials.index[place] if is_grid else row["trial"]
        cells += [(f"{key:,}", key)]
        cells += [
            (axis_text(scores.space, row[axis]), row[axis]) for axis in scores.space.parameters
        ]
        rows.append(cells)
    key = "index" if is_grid else "trial"
    return {"columns": ["rank", *names, key, *space.parameters], "rows": rows}


def _made(scores: GridScores, noise: Noise | None) -> dict[str, str]:
    """How the run was made, as names and values."""
    manifest, trials = scores.manifest, scores.trials
    machine = manifest.machine
    status = trials["status"].value_counts()
    made = {
        "trained": f"{len(trials):,} of {size_text(scores.space)}"
        + "".join(f", {status[name]:,} {name}" for name in status.index if name != "ok"),
        "chosen by": chosen_by(manifest),
        "seed": str(manifest.seed)
        + (f"; also {', '.join(map(str, noise.seeds[1:]))}" if noise else ""),
        "CPU time": duration(float(trials["train_seconds"].sum())) + ", one thread a trial",
        "from": f"{manifest.created_at} to {trials['finished_at'].max()}",
        "engine": f"{', '.join(sorted(trials['engine'].dropna().unique()))} on {manifest.backend}",
        "machine": f"{machine.processor}, {machine.cpus} CPUs",
        "versions": ", ".join(f"{name} {v}" for name, v in manifest.versions.items()),
        "problem's fingerprint": ", ".join(
            f"{name} {value[:12]}" for name, value in manifest.problem.fingerprint.items()
        ),
    }
    return {name: value for name, value in made.items() if value}
