"""Runs joined: shards, neighbouring ranges, doubles; and what cannot be."""

import json
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from tests.made import AXES, by_rate, manifest_of, outcome_of, write_run, write_run_of_space
from tuning import (
    FINISHED,
    Float,
    Grid,
    Int,
    RandomSampler,
    Sampler,
    Space,
    TuningError,
    load_curves,
    load_results,
    publish,
    register,
)
from tuning.cli.commands import merge
from tuning.packing.axes import scattered_position
from tuning.runs.manifest import read_manifest
from tuning.runs.run import Run
from tuning.samplers import Shard, every_trial

ALL = range(24)


def with_search(run, sweep="", order="grid", **changes):
    manifest = json.loads((run / "manifest.json").read_text()) | changes
    if sweep:
        manifest["strategies"]["sweep"] = {"points": sweep, "order": order}
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


def joined(*paths) -> int:
    return merge([str(path) for path in paths])


def test_shards_in_one_directory_become_the_whole_run(tmp_path, capsys):
    whole = write_run(tmp_path, name="whole")
    for k in (1, 2, 3):
        trials = [t for t in ALL if t % 3 == k - 1]
        run = write_run(tmp_path, trials=trials, name=f"shards/shard-{k}-of-3")
        with_search(run, shard=f"{k}/3")
    assert joined(tmp_path / "shards", tmp_path / "out") == 0
    assert "3 runs are joined: 24 trials are in " in capsys.readouterr().out
    same = {"check_dtype": False}
    untold = ["run", "finished_at", "worker"]
    pd.testing.assert_frame_equal(
        load_results(tmp_path / "out").drop(columns=untold),
        load_results(whole).drop(columns=untold),
        **same,
    )
    assert set(load_results(tmp_path / "out")["run"]) == {"out"}
    key = ["index", "epoch"]
    curves, wanted = (load_curves(p).sort_values(key) for p in (tmp_path / "out", whole))
    assert curves[[*key, "val_loss"]].to_numpy().tolist() == (
        wanted[[*key, "val_loss"]].to_numpy().tolist()
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["strategies"] == {"sweep": {"points": "all", "order": "grid"}}
    assert manifest["shard"] == ""
    with Run.open(tmp_path / "out") as run:
        assert [run.point("sweep", number) for number in ALL] == list(ALL)


def test_what_is_missing_is_said(tmp_path, capsys):
    one = write_run(tmp_path, trials=range(5), name="one")
    assert joined(one, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "19 trials of the search are missing: " in said
    assert re.search(r"tuning run --out \S+out trains them", said)


def test_ranges_that_border_are_one_sweep(tmp_path):
    first = with_search(write_run(tmp_path, trials=range(4, 10), name="a"), sweep="4:10")
    second = with_search(write_run(tmp_path, trials=range(8, 13), name="b"), sweep="8:13")
    assert joined(second, first, tmp_path / "out") == 0
    table = load_results(tmp_path / "out")
    assert table["index"].tolist() == list(range(4, 13))
    assert table["trial"].tolist() == list(range(9))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["strategies"]["sweep"]["points"] == "4:13"


def test_of_doubles_the_one_with_a_result_is_kept(tmp_path, capsys):
    lost = write_run(tmp_path, lambda c, t: None if t < 3 else by_rate(c, t), name="a")
    found = write_run(tmp_path, trials=range(5), name="b")
    assert joined(lost, found, tmp_path / "out") == 0
    assert "5 rows were of trials that another run has as well." in capsys.readouterr().out
    assert set(load_results(tmp_path / "out")["status"]) == {"ok"}
    assert len(load_results(tmp_path / "out")) == 24


def test_doubles_that_differ_are_counted(tmp_path, capsys):
    one = write_run(tmp_path, lambda c, t: None if t == 4 else by_rate(c, t), name="a")
    two = write_run(tmp_path, lambda c, t: by_rate(c, t) + (t < 3) * 0.01 + 1e-6, name="b")
    assert joined(one, two, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "3 of these trials differ in val_accuracy by more than rounding: what is kept" in said
    kept = load_results(tmp_path / "out").set_index("index")["val_accuracy"]
    assert kept[0] == load_results(one)["val_accuracy"][0]


def test_a_score_that_is_no_number_stays_one(tmp_path):
    run = write_run(tmp_path, trials=range(4), name="a")
    table = pd.read_csv(run / "trials.csv", dtype=str)
    table.loc[1, "test_loss"] = "nan"
    table.to_csv(run / "trials.csv", index=False)
    assert joined(run, tmp_path / "out") == 0
    assert load_results(tmp_path / "out")["test_loss"].isna().tolist() == [
        False,
        True,
        False,
        False,
    ]
    publish(run, tmp_path / "small")
    (tmp_path / "small" / "trials.parquet").unlink()
    assert load_results(tmp_path / "small")["test_loss"].isna().sum() == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 1}, "differ: of the first, its seed is 0, not 1"),
        ({"axes": {"width": [8, 17], "epochs": [1]}}, "differ: of the first, its axis 'width'"),
    ],
)
def test_another_problem_is_refused(tmp_path, capsys, changes, says):
    one = write_run(tmp_path, trials=[0], name="a")
    write = {"score": lambda *_: 0.5, "trials": [0], "name": "b", **changes}
    other = write_run(tmp_path, **write)
    assert joined(one, other, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_what_does_not_join_is_refused(tmp_path, capsys):
    one = with_search(write_run(tmp_path, trials=range(4), name="a"), sweep="0:4")
    two = with_search(write_run(tmp_path, trials=range(9, 12), name="b"), sweep="9:12")
    spaced = write_run(tmp_path, trials=[0, 12], name="c")
    with_search(spaced, sweep="2", order="spaced")
    (tmp_path / "empty").mkdir()
    for paths, says in [
        ((one, two), "the sweeps leave out 4:9, which stands before that of"),
        ((one, spaced), "(2 in spaced order) is not a range A:B that borders on the others"),
        ((tmp_path / "empty",), "is not a run, and holds none"),
        ((tmp_path / "nowhere",), "there is no run at"),
    ]:
        assert joined(*paths, tmp_path / "out") == 2
        assert says in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
    assert joined(one, two) == 2
    assert f"{two} is there already" in capsys.readouterr().err


def test_a_damaged_run_is_refused(tmp_path, capsys):
    run = write_run(tmp_path, trials=range(4), name="a")
    text = (run / "trials.csv").read_text()
    (run / "trials.csv").write_text(text + text.splitlines()[-1] + "\n")
    assert joined(run, tmp_path / "out") == 2
    assert "is there a second time" in capsys.readouterr().err
    with pytest.raises(TuningError, match="a second time"):
        Run.open(run)


SPACE = Space({"layers": [1, 2], "second": Int(1, 9).when(layers=2), "rate": Float(0.1, 1.0)})


def of_shard(whole, k, name):
    """Of a run of random search those rows that a shard of two has."""
    table, manifest = load_results(whole), json.loads((whole / "manifest.json").read_text())
    space = read_manifest(whole).space
    own = [
        Shard(k, 2).has(*scattered_position(trial.configuration, {}))
        for trial in every_trial(RandomSampler(space, len(table), 0))
    ]
    shutil.copytree(whole, name)
    for file in ("trials.csv", "curves.csv"):
        lines = (whole / file).read_text().splitlines(keepends=True)
        kept = [line for line in lines[1:] if own[int(line.split(",")[2])]]
        (name / file).write_text("".join([lines[0], *kept]))
    (name / "manifest.json").write_text(json.dumps({**manifest, "shard": f"{k}/2"}))
    return sum(own)


def test_shards_of_a_space_become_the_whole_run(tmp_path, capsys):
    whole = write_run_of_space(tmp_path, SPACE, 40, name="whole")
    parts = [of_shard(whole, k, tmp_path / "shards" / str(k)) for k in (1, 2)]
    assert sum(parts) == 40
    assert min(parts) > 10
    assert joined(tmp_path / "shards", tmp_path / "out") == 0
    assert "2 runs are joined: 40 trials are in " in capsys.readouterr().out
    found, wanted = load_results(tmp_path / "out"), load_results(whole)
    names = ["trial", *SPACE.parameters, "val_accuracy"]
    pd.testing.assert_frame_equal(found[names], wanted[names])
    assert joined(whole, tmp_path / "shards" / "1", tmp_path / "again") == 0
    said = capsys.readouterr().out
    assert f"{parts[0]} rows were of trials that another run has as well." in said
    assert "differ in" not in said


class Rungs(Sampler):
    """Would ask for every configuration again, trained further."""

    def __init__(self, space, seed, trials=0):
        self.n_trials = trials

    def ask(self, n):
        return FINISHED


@pytest.fixture
def registered():
    """The strategy `rungs_of_a_test`, for the length of a test."""
    register("rungs_of_a_test")(Rungs)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("space", [SPACE, Grid(AXES)])
def test_a_strategy_that_learns_has_a_row_for_each_rung(tmp_path, space):
    settings = {"random": {"trials": 3}, "rungs_of_a_test": {"trials": 6}}
    path = tmp_path / "one"
    if isinstance(space, Grid):
        manifest = manifest_of(AXES)
    else:
        axes = {name: [] for name in space.parameters}
        manifest = manifest_of(axes, space=space.describe())
    trials = RandomSampler(space, 3, 0).ask(3)
    with Run.create(path, replace(manifest, strategies=settings)) as run:
        run.count([("random", outcome_of(trial, 0.5)) for trial in trials])
        for number, trial in enumerate([*trials, *trials]):
            done = outcome_of(replace(trial, number=number), 0.5 + number / 100)
            if number < 3:
                done = replace(done, status="stopped", metrics={"val_accuracy": 0.4}, curve=[])
            run.count([("rungs_of_a_test", done)])
    write_shorter(path, tmp_path / "two")
    assert joined(tmp_path / "two", path, tmp_path / "out") == 0
    found, wanted = load_results(tmp_path / "out"), load_results(path)
    names = ["strategy", "trial", "status", "trained_epochs", "val_accuracy"]
    pd.testing.assert_frame_equal(found[names], wanted[names])


def write_shorter(path, copy):
    """The same run, without its last three rows."""
    shutil.copytree(path, copy)
    lines = (path / "trials.csv").read_text().splitlines(keepends=True)
    (copy / "trials.csv").write_text("".join(lines[:-3]))
