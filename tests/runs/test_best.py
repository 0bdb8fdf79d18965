"""The models of a run's best trials: which are kept, under which names, and whole or not at all."""

import errno
import json
import os
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.made import AXES, manifest_of, outcome_of
from tuning import Grid, RunStopped, TuningError
from tuning import open as open_results
from tuning.runs.best import BEST, BestModels, about_model, model_file
from tuning.runs.run import Run
from tuning.samplers import trial_at
from tuning.trial import KeptModel

GRID = Grid(AXES)
X = np.ones((1, 2))


def model_that_says(number):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    model.set_weights([np.full((2, 1), number / 2)])
    return model


def said_by(file):
    return float(keras.saving.load_model(file).predict(X, verbose=0)[0, 0])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of models that say 0, 1, 2, …; and of their weights alone."""
    folder = tmp_path_factory.mktemp("models")
    contents = {}
    for i in range(6):
        model = model_that_says(i)
        model.save(folder / "a.keras")
        model.save_weights(folder / "a.weights.h5")
        for kind in ("keras", "weights.h5"):
            contents[kind, i] = (folder / f"a.{kind}").read_bytes()
    return contents


def kept(files, index, *wanted, why=""):
    """The model of a trial, which says its grid index."""
    kind = "weights.h5" if why else "keras"
    trial = trial_at(GRID, index, index, 0)
    names = wanted or (("sweep", index),)
    return KeptModel(trial, names, not why, files[kind, index], why)


def train(run, files, index, score, strategies=("sweep",), why=""):
    """What a run does with a trial whose worker found it among the best."""
    trial = trial_at(GRID, index, index, 0)
    run.keep([kept(files, index, *((name, index) for name in strategies), why=why)])
    run.count([(name, outcome_of(trial, score)) for name in strategies])


def new_run(path, keep=1, mode="max"):
    metric = {"max": "val_accuracy", "min": "val_loss"}[mode]
    return Run.create(path, replace(manifest_of(AXES, mode=mode, metric=metric), keep=keep))


def names(run):
    return sorted(path.name for path in (run / BEST).iterdir())


def test_the_best_is_kept_under_its_strategys_name(tmp_path, files):
    with new_run(tmp_path / "run") as run:
        for index, score in enumerate([0.5, 0.7, 0.6]):
            train(run, files, index, score)
    stems = ("sweep", "sweep-1")
    assert names(tmp_path / "run") == sorted(f"{s}.{e}" for s in stems for e in ("json", "keras"))
    assert said_by(tmp_path / "run" / "best" / "sweep.keras") == 1
    about = json.loads((tmp_path / "run" / "best" / "sweep.json").read_text())
    assert (about["strategy"], about["trial"], about["index"]) == ("sweep", 1, 1)
    assert about["configuration"] == GRID[1]
    one, other = (model_file(tmp_path / "run", "sweep", number) for number in (None, 1))
    assert os.path.samefile(one, other)  # it takes its room once


@pytest.mark.parametrize("mode", ["max", "min"])
@settings(max_examples=15, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    scores=st.lists(st.sampled_from([0.1, 0.2, 0.3, None]), min_size=6, max_size=6),
    order=st.permutations(range(6)),
    keep=st.integers(0, 4),
    again=st.integers(0, 4),
)
def test_as_many_as_asked_for_are_kept_whatever_comes_first(
    mode, scores, order, keep, again, tmp_path_factory, files
):
    """Of equals those that were asked for first; a run that goes on may keep more, or fewer."""
    path = tmp_path_factory.mktemp("many") / "run"
    sign = -1 if mode == "max" else 1
    metric = "val_accuracy" if mode == "max" else "val_loss"
    values = {
        i: outcome_of(trial_at(GRID, i, i, 0), score).metrics.get(metric)
        for i, score in enumerate(scores)
    }
    ranked = sorted((sign * value, i) for i, value in values.items() if value is not None)
    with new_run(path, keep, mode) as run:
        for i in order:
            if scores[i] is None:
                run.count([("sweep", outcome_of(trial_at(GRID, i, i, 0), None))])
            else:
                train(run, files, i, scores[i])
        bars = run.bars().get("sweep", ())
    best = [i for _, i in ranked]
    assert [number for _, number in bars] == best[:keep]
    assert [value for value, _ in bars] == [values[i] for i in best[:keep]]
    if (path / BEST).exists():
        found = {name for name in names(path) if name.endswith(".keras")}
        wanted = {f"sweep-{i}.keras" for i in best[:keep]}
        assert found == (wanted | {"sweep.keras"} if wanted else set())
    if best and keep:
        assert said_by(model_file(path, "sweep")) == best[0]
    with Run.open(path) as run:
        assert run.bars().get("sweep", ()) == bars
        run.extend(run.manifest.strategies, again)
        assert [number for _, number in run.bars().get("sweep", ())] == best[:again]
        assert [number for _, number in run.best.missing()] == best[keep:again]
        if (path / BEST).exists():
            found = {name for name in names(path) if name.endswith(".keras")}
            assert found - {"sweep.keras"} == {f"sweep-{i}.keras" for i in best[: min(keep, again)]}
    with Run.open(path) as run:
        assert run.manifest.keep == again


def test_a_model_whose_trial_was_not_counted_is_deleted(tmp_path, files):
    """As a kill between the two leaves it."""
    with new_run(tmp_path / "run") as run:
        train(run, files, 0, 0.5)
        run.keep([kept(files, 1)])
        assert "sweep-1.keras" in names(tmp_path / "run")
    (tmp_path / "run" / "best" / "sweep-2.keras.draft").write_bytes(b"half")
    with Run.open(tmp_path / "run"):
        pass
    assert [name for name in names(tmp_path / "run") if "-" in name] == [
        "sweep-0.json",
        "sweep-0.keras",
    ]
    assert said_by(model_file(tmp_path / "run", "sweep")) == 0


def test_a_kill_after_the_count_leaves_what_the_next_opening_mends(tmp_path, files, monkeypatch):
    with new_run(tmp_path / "run") as run:
        train(run, files, 0, 0.5)
        monkeypatch.setattr(BestModels, "settle", lambda self: None)
        train(run, files, 1, 0.6)
    monkeypatch.undo()
    assert said_by(model_file(tmp_path / "run", "sweep")) == 0
    with Run.open(tmp_path / "run"):
        pass
    assert said_by(model_file(tmp_path / "run", "sweep")) == 1
    assert names(tmp_path / "run") == ["sweep-1.json", "sweep-1.keras", "sweep.json", "sweep.keras"]


def test_a_model_is_there_whole_or_not_at_all(tmp_path, files, monkeypatch):
    with new_run(tmp_path / "run") as run:
        train(run, files, 0, 0.5)
        fsync, written = os.fsync, []

        def fails(number):
            written.append(number)
            if len(written) == 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(number)

        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(RunStopped, match=r"cannot write .*best/sweep-1.keras: the disk is ful"):
            run.keep([kept(files, 1)])
        monkeypatch.undo()
        assert names(tmp_path / "run") == [
            "sweep-0.json", "sweep-0.keras", "sweep.json", "sweep.keras",
        ]  # fmt: skip


def test_a_model_without_what_stands_beside_it_is_missing(tmp_path, files):
    """As a kill leaves it while the model of a trial that is counted is trained again."""
    with new_run(tmp_path / "run") as run:
        train(run, files, 0, 0.5)
        (tmp_path / "run" / "best" / "sweep-0.json").unlink()
        assert run.best.missing() == [("sweep", 0)]


def test_weights_alone_say_so_and_take_the_place_of_a_model(tmp_path, files):
    with new_run(tmp_path / "run") as run:
        train(run, files, 0, 0.5)
        train(run, files, 1, 0.6, why="of the class Own")
        assert names(tmp_path / "run") == [
            "sweep-1.json", "sweep-1.weights.h5", "sweep.json", "sweep.weights.h5",
        ]  # fmt: skip
        assert about_model(tmp_path / "run", "sweep", 1)["weights_only"] == "of the class Own"
        loaded = model_that_says(5)
        loaded.load_weights(model_file(tmp_path / "run", "sweep"))
        assert loaded.predict(X, verbose=0)[0, 0] == 1
        train(run, files, 2, 0.7)
    assert names(tmp_path / "run") == ["sweep-2.json", "sweep-2.keras", "sweep.json", "sweep.keras"]


def test_what_could_not_be_kept_at_all_says_why_and_is_not_missing(tmp_path, files):
    with new_run(tmp_path / "run") as run:
        run.keep([replace(kept(files, 0), plain=False, content=b"", why="it has a lock")])
        run.count([("sweep", outcome_of(trial_at(GRID, 0, 0, 0), 0.5))])
        assert run.best.missing() == []
        assert about_model(tmp_path / "run", "sweep", 0)["not_kept"] == "it has a lock"


def test_a_filesystem_without_links_has_copies(tmp_path, files, monkeypatch):
    def fails(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", fails)
    with new_run(tmp_path / "run") as run:
        for index, score in enumerate([0.5, 0.7]):
            train(run, files, index, score)
    assert said_by(model_file(tmp_path / "run", "sweep")) == 1


def test_a_strategy_takes_the_model_that_another_has_kept(tmp_path, files):
    with new_run(tmp_path / "run") as run:
        train(run, files, 3, 0.5)
        own = trial_at(GRID, 3, 0, 0)
        run.copy([("random", own)])
        assert run.best.missing() == [("random", 0)]
        run.share_models()
        run.best.settle()
        assert run.best.missing() == []
    assert said_by(model_file(tmp_path / "run", "random")) == 3
    about = about_model(tmp_path / "run", "random", 0)
    assert (about["strategy"], about["trial"], about["index"]) == ("random", 0, 3)


def test_results_load_the_best_of_a_strategy_and_of_all(tmp_path, files):
    with new_run(tmp_path / "run", keep=2) as run:
        train(run, files, 0, 0.5, ("random",))
        train(run, files, 1, 0.7)
        train(run, files, 2, 0.6)
        run.count([("sweep", outcome_of(trial_at(GRID, 3, 3, 0), 0.1))])
    results = open_results(tmp_path / "run")
    assert results.best_model().predict(X, verbose=0)[0, 0] == 1
    assert results.best_model("random").predict(X, verbose=0)[0, 0] == 0
    found = [model.predict(X, verbose=0)[0, 0] for model in results.best_models(3)]
    assert found == [1, 2, 0]


def test_a_model_of_a_class_that_is_not_imported_says_which(tmp_path, files):
    why = "your code registers Own: import it before loading"
    with new_run(tmp_path / "run") as run:
        run.keep([replace(kept(files, 0), content=b"of the class Own", why=why)])
        run.count([("sweep", outcome_of(trial_at(GRID, 0, 0, 0), 0.5))])
    with pytest.raises(TuningError, match=rf"cannot load .*best/sweep-0.keras: {why}$"):
        open_results(tmp_path / "run").best_model()


def test_a_model_beside_which_nothing_can_be_read_is_not_taken_over(tmp_path, files):
    with new_run(tmp_path / "run") as run:
        train(run, files, 3, 0.5)
        (tmp_path / "run" / "best" / "sweep-3.json").write_text("[]")
        run.copy([("random", trial_at(GRID, 3, 0, 0))])
        run.share_models()
        assert run.best.missing() == [("random", 0)]
