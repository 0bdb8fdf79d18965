"""The run directory: what is counted stays, what is torn goes, and one writer at a time."""

import csv
import errno
import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import TINY
from tuning import RunStopped, TuningError, load_problem, load_results
from tuning.runs.manifest import differences, make_manifest, read_manifest
from tuning.runs.run import Run
from tuning.trial import Outcome, Trial

STRATEGIES = {"random": {"trials": 3}}


def manifest(problem_file=TINY, **changes):
    problem = load_problem(str(problem_file))
    settings = {"seed": 0, "engine": "fit", "backend": "tensorflow", "strategies": STRATEGIES}
    fingerprint = {"code": "c", "model": "m", "data": "d"}
    settings |= {"better": ("max", "keras.metrics.BinaryAccuracy"), **changes}
    return make_manifest(problem, fingerprint, ["loss", "accuracy"], **settings)


def with_axes(axes, **changes):
    about = manifest(**changes)
    return replace(about, problem=replace(about.problem, axes=axes))


def trial(index: int, number: int = 0) -> Trial:
    configuration = load_problem(str(TINY)).grid[index]
    return Trial(number, configuration, 0, configuration["epochs"], index)


def outcome(index: int, accuracy: float = 0.5) -> Outcome:
    curve = [{"loss": 1.0, "accuracy": 0.4, "val_loss": 0.7, "val_accuracy": accuracy}] * 2
    scores = {
        f"{split}_{name}": value
        for split in ("val", "test", "train")
        for name, value in (("loss", 0.7), ("accuracy", accuracy))
    }
    return Outcome(trial(index), "ok", "fit", "tensorflow", scores, curve, 1.5)


def count(run: Run, index: int, strategy: str = "random", number: int | None = None) -> None:
    own = trial(index, index if number is None else number)
    run.count([(strategy, replace(outcome(index), trial=own))])


def done(run: Run) -> dict[str, set[int]]:
    """The grid indices counted, by strategy."""
    return {strategy: set(points.values()) for strategy, points in run._points.items()}


def test_a_run_is_files_that_pandas_reads_as_they_are(tmp_path):
    with Run.create(tmp_path / "r", manifest()) as run:
        count(run, 3)
        count(run, 30)
    table = pd.read_csv(tmp_path / "r" / "trials.csv")
    assert ",".join(table.columns) == (
        "run,strategy,trial,index,seed,"
        "batch_size,units,activation,learning_rate,epochs,trained_epochs,status,"
        "val_loss,val_accuracy,test_loss,test_accuracy,train_loss,train_accuracy,"
        "train_seconds,engine,backend,worker,finished_at,error"
    )
    assert table["index"].tolist() == [3, 30]
    assert table["units"].dtype == "int64"
    assert table["learning_rate"].dtype == "float64"
    assert table["val_accuracy"].dtype == "float64"
    assert table.loc[0, "activation"] == "relu"
    assert math.isnan(table.loc[0, "error"])
    curves = pd.read_csv(tmp_path / "r" / "curves.csv")
    assert list(curves.columns) == (
        ["run", "strategy", "trial", "index", "seed", "epoch", "loss", "val_loss", "val_accuracy"]
    )
    assert curves["epoch"].tolist() == [1, 2, 1, 2]
    written = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert written["problem"]["axes"]["learning_rate"] == [0.001, 0.1]
    assert {"python", "keras", "ray"} <= set(written["versions"])


def test_load_results_orders_each_strategy_as_it_asked(tmp_path):
    with Run.create(tmp_path / "r", manifest()) as run:
        for index, strategy, number in [(9, "sweep", 1), (4, "random", 1), (8, "random", 0)]:
            count(run, index, strategy, number)
    table = load_results(tmp_path / "r")
    assert table["index"].tolist() == [8, 4, 9]
    assert table["trial"].tolist() == [0, 1, 1]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut=st.integers(0, 10_000), cut_curves=st.integers(0, 10_000))
def test_cut_anywhere_whole_rows_stay_and_the_rest_is_done_again(tmp_path_factory, cut, cut_curves):
    path = tmp_path_factory.mktemp("runs") / "r"
    with Run.create(path, manifest()) as run:
        for index in range(6):
            count(run, index)
    sizes = {}
    for name, at in (("trials.csv", cut), ("curves.csv", cut_curves)):
        content = (path / name).read_bytes()
        header = content.index(b"\n") + 1
        sizes[name] = header + at % (len(content) - header + 1)
        (path / name).write_bytes(content[: sizes[name]])
    whole = (path / "trials.csv").read_bytes().count(b"\n") - 1
    with Run.open(path) as run:
        assert done(run).get("random", set()) == set(range(whole))
        for index in range(whole, 6):
            count(run, index)
    assert load_results(path)["trial"].tolist() == list(range(6))
    curves = pd.read_csv(path / "curves.csv")
    assert not curves.duplicated(["strategy", "trial", "epoch"]).any()
    assert set(curves["trial"]) >= set(range(whole, 6))


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=40), st.text(min_size=1, max_size=8))
def test_any_text_is_one_line_of_the_table(tmp_path_factory, error, value):
    path = tmp_path_factory.mktemp("runs") / "r"
    about = with_axes({"text": [value, None]}, strategies={"random": {"trials": 2}})
    with Run.create(path, about) as run:
        for index in (0, 1):
            one = Trial(index, about.grid[index], 0, 1, index)
            failed = Outcome(one, "failed", "fit", "tensorflow", error=error)
            run.count([("random", failed)])
    with Run.open(path) as run:
        assert done(run) == {"random": {0, 1}}
    with (path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert rows[1]["text"] == ""
    assert (path / "trials.csv").read_text().count("\n") == 3


def test_a_full_disk_stops_the_run_and_leaves_no_part_of_a_row(tmp_path, monkeypatch):
    with Run.create(tmp_path / "r", manifest()) as run:
        count(run, 0)
        before = (tmp_path / "r" / "trials.csv").read_bytes()

        def full(_descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)  # a real full disk needs a mount
        with pytest.raises(RunStopped, match=r"curves.csv: the disk is full"):
            count(run, 1)
    assert (tmp_path / "r" / "trials.csv").read_bytes() == before
    monkeypatch.undo()
    with Run.open(tmp_path / "r") as run:
        assert done(run) == {"random": {0}}


def test_what_another_strategy_trained_is_counted_without_training(tmp_path):
    with Run.create(tmp_path / "r", manifest()) as run:
        count(run, 7, "random", 0)
        ((strategy, copied),) = run.copy([("sweep", trial(7, 3))])
        assert (strategy, copied.trial.number, len(copied.curve)) == ("sweep", 3, 2)
    with Run.open(tmp_path / "r") as run:
        assert done(run) == {"random": {7}, "sweep": {7}}
    table = load_results(tmp_path / "r").set_index("strategy")
    assert table.loc["sweep", "trial"] == 3
    different = table.loc["random"] != table.loc["sweep"]
    assert set(table.columns[different & table.notna().all()]) == {"trial"}
    curves = pd.read_csv(tmp_path / "r" / "curves.csv")
    assert curves.groupby("strategy").size().to_dict() == {"random": 2, "sweep": 2}


def test_one_writer_at_a_time(tmp_path):
    with Run.create(tmp_path / "r", manifest()):
        with pytest.raises(TuningError, match="is being written by process"):
            Run.open(tmp_path / "r")
        assert load_results(tmp_path / "r").empty
    Run.open(tmp_path / "r").close()


def test_a_run_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    with pytest.raises(TuningError, match="cannot make the run"):
        Run.create(tmp_path / "taken", manifest())
    assert [path.name for path in tmp_path.rglob("*")] == ["taken", "notes.txt"]


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch, there):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if there:
        (tmp_path / "r").mkdir()
    monkeypatch.setattr("tuning.runs.manifest.os.fsync", full)
    with pytest.raises(TuningError, match=r"cannot make the run .*r: No space left"):
        Run.create(tmp_path / "r", manifest())
    assert [path.name for path in tmp_path.rglob("*")] == ["r"] * there


def test_an_extension_that_cannot_be_noted_stops_the_run(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Run.create(tmp_path / "r", manifest()) as run:
        monkeypatch.setattr("tuning.runs.manifest.os.fsync", full)
        with pytest.raises(RunStopped, match=r"cannot write .*manifest.json: the disk is full"):
            run.extend({"random": {"trials": 9}}, keep=1)
    assert read_manifest(tmp_path / "r").strategies == STRATEGIES
    assert not list(tmp_path.rglob("*.draft"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"strategies": {"sweep": {"points": "banana", "order": "grid"}}},
            "--sweep takes a number N, a range A:B or all, not 'banana'",
        ),
        ({"strategies": {"random": {"trials": -5}}}, "cannot draw -5 random configurations"),
        ({"shard": "2/1"}, "--shard takes K/N"),
        ({"keep": -1}, "its keep is -1"),
        ({"seed": -1}, "its seed is -1"),
        ({"seed": 2**32}, "its seed is 4294967296"),
    ],
)
def test_a_manifest_of_an_impossible_search_is_damaged(tmp_path, changes, says):
    about = replace(manifest(), **changes)
    Run.create(tmp_path / "r", manifest()).close()
    (tmp_path / "r" / "manifest.json").write_text(about.text())
    with pytest.raises(TuningError, match="is damaged: .*" + re.escape(says)):
        read_manifest(tmp_path / "r")


def test_an_empty_directory_is_taken_even_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Run.create(Path(), manifest()) as run:
        count(run, 1)
    assert load_results(".")["index"].tolist() == [1]
    assert load_results(tmp_path)["run"].tolist() == [tmp_path.name]


@pytest.mark.parametrize("axis", ["seed", "val_loss", "error", "trials", "=A1", "@sum"])
def test_an_axis_cannot_take_a_columns_name_or_be_a_formula(tmp_path, axis):
    about = with_axes({axis: [1]})
    with pytest.raises(TuningError, match=f"an axis cannot be called '{axis}'"):
        Run.create(tmp_path / "r", about)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "[" * 200_000, '{"format": 1}', '{"problem": {"axes": {}}}']
)
def test_what_is_not_a_run_is_refused(tmp_path, content):
    with pytest.raises(TuningError, match="there is no run at"):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(TuningError, match=r"is not a run|is damaged: it lacks"):
        load_results(tmp_path)


def test_a_damaged_table_is_refused(tmp_path):
    Run.create(tmp_path / "r", manifest()).close()
    (tmp_path / "r" / "trials.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TuningError, match="its first line does not name the run's columns"):
        Run.open(tmp_path / "r")


def test_the_differences_between_two_runs_are_named(tmp_path):
    old = manifest()
    assert differences(old, manifest(strategies={"random": {"trials": 9}})) == []
    assert differences(old, manifest(seed=1)) == ["its seed is 0, not 1"]
    assert differences(old, manifest(backend="jax")) == ["its backend is tensorflow, not jax"]
    text = TINY.read_text()
    (tmp_path / "tiny.py").write_text(text.replace("[2, 8]", "[2, 9]"))
    assert differences(old, manifest(tmp_path / "tiny.py")) == [
        "its axis 'units' has [2, 8], not [2, 9]"
    ]
    new = manifest()
    new.problem.fingerprint["data"] = "other"
    assert differences(old, new) == ["the problem's data has changed"]
