"""What the README promises a newcomer."""

import re

from tests.conftest import REPOSITORY
from tuning import load_results
from tuning.analysis.compare import compare
from tuning.report.terminal import duration
from tuning.runs.manifest import read_manifest

README = (REPOSITORY / "README.md").read_text()


def test_its_example_of_a_problem_is_complete_and_runs(run, tmp_path):
    example = next(
        block
        for block in re.findall(r"```python\n(.*?)```", README, re.S)
        if "build_model" in block
    )
    assert len(example.splitlines()) < 40
    (tmp_path / "wine.py").write_text(example)
    done = run("run_ray.py", "--problem", "wine.py", "--random", 2, "--sweep", 2, "--out", "r")
    assert done.returncode == 0, done.stderr
    assert load_results("r")["status"].tolist() == ["ok"] * 4


def test_its_second_command_is_what_ci_runs():
    commands = re.findall(r"```sh\n(python3 -m venv.*)\n", README)
    assert len(commands) == 2
    assert commands[1].replace(".venv", ".venv-ci") in (REPOSITORY / ".ci" / "run").read_text()


def test_it_names_every_option_of_the_command(run):
    options = re.findall(r"^  (--[a-z-]+)", run("run_ray.py", "--help").stdout, re.M)
    assert len(options) > 8
    for option in options:
        assert f"`{option}" in README


def test_its_five_seeds_are_those_of_the_published_rows():
    for seed in range(5):
        path = REPOSITORY / "results" / "random_5_seeds" / f"seed-{seed}"
        found = compare(load_results(path), read_manifest(path)).last.loc["random"]
        assert found["trials"] == 20
        best = f"{found['val_accuracy']:.4f} | {found['test_accuracy']:.4f}"
        assert f"| {seed} | {best} | {duration(found['total_cpu_seconds'])} |" in README
