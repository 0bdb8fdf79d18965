"""What the README and the pages in docs/ promise a newcomer."""

import ast
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tuning import load_results
from tuning.analysis.compare import compare
from tuning.cli.commands import COMMANDS
from tuning.report.terminal import duration
from tuning.runs.columns import columns_of
from tuning.runs.manifest import read_manifest

README = (REPOSITORY / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in (REPOSITORY / "docs").glob("*.md")}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def test_the_example_of_a_problem_is_complete_and_runs(run, tmp_path):
    example = next(block for block in blocks(PAGES["problems"], "python"))
    assert len(example.splitlines()) < 40
    (tmp_path / "wine.py").write_text(example)
    done = run("tuning", "run", "--problem", "wine.py", "--random", 2, "--sweep", 2, "--out", "r")
    assert done.returncode == 0, done.stderr
    assert load_results("r")["status"].tolist() == ["ok"] * 4


def printed_by(example, folder):
    """What an example prints, as a script in a folder; it has to end well."""
    (folder / "example.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_example_of_a_space_runs_and_its_packs_form_by_program(tmp_path):
    (example,) = blocks(PAGES["spaces"], "python")
    printed_by(example.replace("trials=20", 'trials=8, out="run"'), tmp_path)
    table = load_results(tmp_path / "run")
    assert table["status"].tolist() == ["ok"] * 8
    assert (table["width_4"].notna() == (table["layers"] == 4)).all()
    kinds = read_manifest(tmp_path / "run").packing
    lifted = {"dropout": "lifted", "learning_rate": "lifted", "epochs": "fidelity"}
    assert kinds == dict.fromkeys(kinds, "structural") | lifted


def test_its_first_example_runs_and_prints_what_it_shows(tmp_path):
    """Scores to what another processor's rounding may move."""
    (example,) = blocks(README, "python")
    stdout = printed_by(example, tmp_path)
    output = re.search(r"```\n( +units .*?)```", README, re.S)
    assert output
    printed, shown = stdout.splitlines(), output[1].splitlines()
    assert len(printed) == len(shown) == 5
    assert printed[0].split() == shown[0].split()
    best, *_ = (float(line.split()[-1]) for line in printed[1:4])
    assert best == pytest.approx(float(shown[1].split()[-1]), abs=0.02)
    assert ast.literal_eval(printed[4])[1] == pytest.approx(best, abs=1e-5)


def test_the_command_for_development_is_what_ci_runs():
    commands = re.findall(r"```sh\n(python3 -m venv.*)\n", README)
    assert len(commands) == 2
    assert commands[1].replace(".venv", ".venv-ci") in (REPOSITORY / ".ci" / "run").read_text()


@pytest.mark.parametrize("command", ["tuning", "run_ray"])
def test_the_page_of_the_command_names_every_command_and_option(command, run):
    if command == "run_ray":
        said = run("run_ray.py", "--help").stdout
    else:
        words = [sys.executable, "-m", "tuning", "run", "--help"]
        done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        said = done.stdout
    options = re.findall(r"^  (--[a-z-]+)", said, re.M)
    assert len(options) > 8
    for option in options:
        assert f"`{option}" in PAGES["command"]
    for name in COMMANDS:
        assert f"`tuning {name}" in PAGES["command"]


def test_the_page_of_results_names_every_column():
    path = REPOSITORY / "results" / "mnist_2_vs_7"
    manifest = read_manifest(path)
    for column in columns_of(manifest):
        start = column.partition("_")[0]
        known = column in manifest.problem.axes or start in ("val", "test", "train")
        assert known or f"`{column}`" in PAGES["results"], column


@pytest.mark.parametrize("page", ["README", *PAGES])
def test_every_link_leads_to_a_file(page):
    folder = REPOSITORY / ("" if page == "README" else "docs")
    text = README if page == "README" else PAGES[page]
    targets = [each for each in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in each]
    for target in targets:
        assert (folder / target).exists(), target


def test_every_page_is_in_the_readme():
    assert {f"docs/{name}.md" for name in PAGES} <= set(re.findall(r"\((docs/[^)]+)\)", README))


def test_its_five_seeds_are_those_of_the_published_rows():
    for seed in range(5):
        path = REPOSITORY / "results" / "random_5_seeds" / f"seed-{seed}"
        found = compare(load_results(path), read_manifest(path)).last.loc["random"]
        assert found["trials"] == 20
        best = f"{found['val_accuracy']:.4f} | {found['test_accuracy']:.4f}"
        assert f"| {seed} | {best} | {duration(found['total_cpu_seconds'])} |" in PAGES["trust"]
