"""The page a run is reported on: one file, which needs nothing else to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tuning.analysis.best_of_n import BestOf
from tuning.analysis.compare import Comparison, number_text
from tuning.analysis.grid_scores import Landscape
from tuning.analysis.seed_noise import Noise
from tuning.report.answer import answer
from tuning.report.sections import sections
from tuning.report.tables import value_text
from tuning.report.terminal import duration
from tuning.runs.manifest import chosen_by, write_text

PAGE = "report.html"
MOST_ROWS = 100


def write_page(
    path: Path,
    comparison: Comparison,
    land: Landscape,
    found: BestOf,
    noise: Noise | None,
) -> None:
    """Write a run's report.

    Of a run that trained the whole grid it says what any random search of it would have found; of
    any other only what the trials trained say of themselves.

    Parameters
    ----------
    path : Path
        The file to write.
    comparison : Comparison
    land : Landscape
    found : BestOf
        Of the landscape.
    noise : Noise, optional
        Of the same problem trained with other seeds too.
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
        title=f"{land.manifest.problem.name}: how good is a random search?",
        problem=land.manifest.problem.name,
        answer=answer(comparison, land, found, noise),
        whole=land.whole,
        sections=sections(land, found, noise),
        best=_best(land),
        made=_made(land, noise),
    )
    write_text(path, html)


def _best(land: Landscape) -> dict[str, Any]:
    """The best trials as the page's table: names of columns, and rows of (text, sort key)."""
    scores = [name for name in (land.metric, land.test_metric, "val_loss") if name in land.trials]
    names = list(dict.fromkeys(scores))
    order = np.argsort(land.ranks, kind="stable")[:MOST_ROWS]
    order = order[~np.isnan(land.ranks[order])]
    rows = []
    for place in order:
        row = land.trials.iloc[place]
        cells = [(f"{land.ranks[place]:.0f}", land.ranks[place])]
        cells += [(number_text(row[name]), row[name]) for name in names]
        cells += [(f"{land.trials.index[place]:,}", land.trials.index[place])]
        cells += [(value_text(row[axis]), row[axis]) for axis in land.grid.axes]
        rows.append(cells)
    return {"columns": ["rank", *names, "index", *land.grid.axes], "rows": rows}


def _made(land: Landscape, noise: Noise | None) -> dict[str, str]:
    """How the run was made, as names and values."""
    manifest, trials = land.manifest, land.trials
    machine = manifest.machine
    status = trials["status"].value_counts()
    made = {
        "trained": f"{len(trials):,} of {land.grid.size:,} configurations"
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
