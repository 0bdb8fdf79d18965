"""The front of the benchmarks; that each of them runs, `.ci/run` sees."""

import importlib
import importlib.util

import pytest

from benchmarks import peers
from tests.conftest import REPOSITORY


@pytest.fixture
def script():
    path = REPOSITORY / "scripts" / "benchmark.py"
    spec = importlib.util.spec_from_file_location("benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_help_says_what_each_part_answers(run, script):
    said = run("benchmark.py", "--help").stdout
    for name in script.PARTS:
        part = importlib.import_module(f"benchmarks.{name}")
        question = part.__doc__.splitlines()[0]
        assert question.endswith("?")
        assert f"{part.MINUTES * part.ROUNDS} min  {question}" in said


def test_every_benchmark_is_a_part(script):
    files = (REPOSITORY / "benchmarks").glob("*.py")
    assert {file.stem for file in files if "def measure(" in file.read_text()} == set(script.PARTS)


def test_a_part_that_there_is_not_is_refused(run):
    done = run("benchmark.py", "pack")
    assert done.returncode == 2
    assert "no part is called 'pack'; there are peers, rates" in done.stderr
    assert done.stdout == ""


def test_peers_that_are_not_installed_are_left_out_and_named(monkeypatch, capsys):
    found = importlib.util.find_spec
    missing = {"scikeras", "optuna"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: found("json" if name not in missing else "no")
    )
    assert peers.installed(*peers.PEERS) == ["KerasTuner", "Ray Tune"]
    said = capsys.readouterr().err
    assert said.startswith("not installed and left out: scikit-learn, Optuna; pip install -e ")


def test_earlier_rounds_of_a_file_count_and_the_table_has_medians_and_ratios(
    script, tmp_path, capsys
):
    path = tmp_path / "new" / "b.csv"
    for seconds in (10.0, 30.0, 11.0):
        table = script.Table("peers", path)
        table.add("tuning", "cold start", seconds, "s")
    table.add("other", "cold start", 22.0, "s")
    script.Table("rates", path).add("tuning", "first", 1.0, "configurations/s")
    capsys.readouterr()
    table.show("tuning")
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert ["tuning", "11", "1.00"] in rows
    assert ["other", "22", "2.00"] in rows
    assert rows[-1] == ["Medians", "of", "1", "to", "3", "rounds."]
    kept = path.read_text().splitlines()
    assert [line.split(",")[3] for line in kept[1:]] == ["0", "1", "2", "0", "0"]


def test_a_file_that_has_something_else_is_refused_and_stays(script, tmp_path, capsys):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="2"):
        script.Table("peers", path)
    assert (
        "other.csv is no table of this benchmark: give --out another file"
        in capsys.readouterr().err
    )
    assert path.read_text() == "a,b\n1,2\n"
