"""What is printed can be read at any width, and ends well where nobody reads it."""

import builtins
import contextlib
import io
import os
import runpy
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY, TINY, command, packing_of
from tests.made import grid_scores_of
from tuning.analysis.axis_means import axis_means
from tuning.analysis.compare import compare
from tuning.api.estimate import Estimate, estimate_tables
from tuning.api.explain import explanation_tables
from tuning.api.replay import find_sampler, replays
from tuning.callbacks.terminal import TerminalProgress
from tuning.report.tables import (
    axis_table,
    best_table,
    comparison_table,
    replay_table,
)
from tuning.report.terminal import BROKEN_PIPE, Output, print_table
from tuning.runs.manifest import read_manifest
from tuning.runs.table import load_results

WIDTHS = (20, 40, 60, 80, 160, 200)
FOLDED = 16  # characters; a column of prose may fold longer words


@pytest.fixture(scope="module")
def tables(tmp_path_factory, worker):
    """Every table that is printed, as a function of the console's width."""
    from tests.made import write_run

    run = write_run(tmp_path_factory.mktemp("made"))
    results, manifest, scores = load_results(run), read_manifest(run), grid_scores_of(run)
    problem, packing = packing_of(TINY)
    estimate = Estimate(problem.grid, [0.5, 1.5], 2.0, 8, 32)
    found = replays(scores, find_sampler("random"), 3, range(5), 1)
    means = axis_means(results, scores.metric, scores.grid)

    def made(width):
        yield from explanation_tables(packing, problem.grid)
        yield from estimate_tables(estimate, 2)
        yield comparison_table(compare(results, manifest))
        yield replay_table(found, scores, None)
        yield best_table(scores, results, width=width)
        yield axis_table(means, scores.metric, scores.mode)

    return made


def printed(table, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    print_table(Output(), table)
    return sys.stdout.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_cell_of_a_table_is_cut_at_any_width(width, tables, monkeypatch):
    for table in tables(width):
        text = printed(table, width, monkeypatch)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        cells = [str(cell) for column in table.columns for cell in column.cells]
        words = [word for cell in cells for word in cell.split() if len(word) <= FOLDED]
        assert [word for word in words if word not in text] == []


def test_a_table_that_fits_is_one(tables, monkeypatch):
    for table in tables(200):
        assert " · " not in printed(table, 200, monkeypatch)
        assert " · " in printed(table, 20, monkeypatch) or len(table.columns) < 3


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_search_goes_on_where_nobody_reads_and_what_only_prints_ends(goes_on, monkeypatch):
    ear, mouth = os.pipe()
    os.close(ear)
    with open(mouth, "w", buffering=1) as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        output = Output(goes_on=goes_on)
        with contextlib.nullcontext() if goes_on else pytest.raises(SystemExit) as ended:
            output.print("said")
        output.print("and more")
        closed.write("and this\n")
    assert goes_on or ended.value.code == BROKEN_PIPE


@pytest.mark.parametrize(
    ("script", "redirected", "code"),
    [
        ("analyse.py", "| true", BROKEN_PIPE),
        ("analyse.py", "| head -n 1", BROKEN_PIPE),
        ("run_ray.py --help; true", "| true", 0),
        ("run_ray.py --nonsense", "2>&1 | true", 2),
        ("analyse.py", ">&- 2>&- <&-", 0),
        ("analyse.py", "| cat > printed", 0),
    ],
)
def test_exit_codes_are_kept_whoever_reads(script, redirected, code, make_run, tmp_path):
    run = make_run()
    words = command(script.split()[0], *script.split()[1:], *([run] if " " not in script else []))
    shell = f'{" ".join(words)} {redirected}; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", shell],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "40"},
    )  # fmt: skip
    assert done.stderr == ""
    assert int(done.stdout.split()[-1]) == code


@pytest.mark.parametrize("script", ["run_ray", "analyse", "merge", "publish", "replay"])
def test_ctrl_c_while_it_imports_is_no_traceback(script, monkeypatch):
    import_as_ever = builtins.__import__

    def interrupted(name, *others):
        if name == "tuning.cli.commands":
            raise KeyboardInterrupt
        return import_as_ever(name, *others)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(REPOSITORY / "scripts" / f"{script}.py"))
    assert ended.value.code == 130


@pytest.mark.slow
def test_a_run_whose_output_nobody_reads_is_whole(tmp_path):
    words = command("tuning", "run", "--problem", TINY, "--random", 0, "--sweep", 9, "--out", "r")
    shell = f'{" ".join(words)} 2>&1 | true; exit "${{PIPESTATUS[0]}}"'
    assert subprocess.run(["bash", "-c", shell], cwd=tmp_path, check=False).returncode == 0
    assert load_results(tmp_path / "r")["trial"].tolist() == list(range(9))


@pytest.mark.parametrize(("term", "lines"), [("dumb", 1), ("xterm", 0)])
def test_a_terminal_that_cannot_redraw_has_lines(term, lines, monkeypatch):
    monkeypatch.setattr("tuning.callbacks.terminal.LINE_EVERY_SECONDS", 0.0)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as rich has it
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    console = Output(stderr=True)
    progress = TerminalProgress(4, workers=1, metric="val_loss", mode="min", console=console)
    progress.kept(3)
    assert sys.stderr.getvalue().count("3/4 trials") == lines
