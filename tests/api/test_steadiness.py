"""Trials trained again from weights moved by a rounding error, and how far they move."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from tests.conftest import PROBLEMS, TINY, changed, packing_of, train_pack, trial_at
from tuning import TuningError
from tuning.api.steadiness import _some
from tuning.engines.nudge import nudged
from tuning.execution.worker import Job, train
from tuning.problem.problem import load_data
from tuning.report.answer import steadiness_sentence
from tuning.runs.table import AGAIN, load_again


@given(arrays.arrays(np.float32, 5), arrays.arrays(np.int32, 3))
def test_weights_move_by_the_least_there_is(weights, numbers):
    moved, same = nudged([weights, numbers])
    assert np.array_equal(same, numbers)
    assert moved.dtype == weights.dtype
    for one, other in zip(weights, moved, strict=True):
        if one == 0 or np.isnan(one):
            assert np.array_equal(one, other, equal_nan=True)
        else:
            assert other in (np.nextafter(one, np.float32(s * np.inf)) for s in (-1, 1))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("engine", ["auto", "fit"])
def test_a_steady_training_hardly_moves_and_an_unsteady_one_does(engine, tmp_path):
    wild = changed(
        tmp_path,
        ("keras.layers.Dropout(0.1),", ""),
        ("[0.001, 0.1]", "[0.1, 1.0]"),
        ('"epochs": [1, 2]', '"epochs": [1, 10]'),
    )
    problem, packing = packing_of(wild)
    data = load_data(problem)
    point = {"batch_size": 16, "units": 8, "activation": "tanh", "epochs": 10}
    trials = [problem.grid.index({**point, "learning_rate": rate}) for rate in (0.1, 1.0)]
    job = {"seed": 0, "backend": "jax", **({"packing": packing} if engine == "auto" else {})}
    asked = [trial_at(problem, index) for index in trials]
    once, again = (
        {
            outcome.trial.index: outcome.metrics["val_loss"]
            for report in train(problem, data, asked, Job(**job, nudged=nudge))
            for outcome in report.outcomes
        }
        for nudge in (False, True)
    )
    steady, unsteady = (abs(again[index] / once[index] - 1) for index in trials)
    assert 0 < steady < 1e-5 < unsteady


@pytest.mark.usefixtures("worker")
def test_it_is_another_training_of_the_same_trial():
    problem, packing = packing_of(TINY)
    data = load_data(problem)
    (plain,) = train_pack(problem, data, [1], 0, packing)
    job = Job(0, "jax", packing=packing, nudged=True)
    reports = train(problem, data, [trial_at(problem, 1)], job)
    (again,) = [outcome for report in reports for outcome in report.outcomes]
    assert again.metrics == pytest.approx(plain.metrics, rel=1e-3)


def test_the_best_and_evenly_spaced_others_are_taken():
    results = pd.DataFrame({"index": range(12), "val_loss": np.arange(12.0), "status": "ok"})
    results.loc[3, "status"] = "failed"
    assert list(_some(results, "val_loss", "min", 5)["index"]) == [0, 1, 2, 4, 11]
    assert list(_some(results, "val_loss", "max", 5)["index"]) == [11, 10, 9, 8, 0]
    assert len(_some(results, "val_loss", "max", 50)) == 11


def test_the_sentence_names_the_most_unsteady():
    found = pd.DataFrame({"index": [5, 7, 9, 2], "moved": [0.0, 0.001, 0.25, np.nan]})
    said = steadiness_sentence(found, "val_accuracy")
    assert "the best 2 moved by at most 0.001" in said
    assert "configuration 9, by 0.25." in said
    assert steadiness_sentence(found.head(1), "val_loss").endswith("none moved in val_loss.")
    assert steadiness_sentence(found.tail(1), "val_loss").endswith("none came to a result.")


def test_a_damaged_file_is_told_of(tmp_path):
    assert load_again(tmp_path, "val_loss") is None
    (tmp_path / AGAIN).write_text("trial,val_loss\n1,x\n")
    with pytest.raises(TuningError, match="write it anew with --again"):
        load_again(tmp_path, "val_loss")


@pytest.mark.slow
def test_the_command_trains_again_and_shows_it(run, tmp_path):
    problem = PROBLEMS / "tiny.py"
    done = run("tuning", "run", "--problem", problem, "--random", 2, "--sweep", 4, "--out", "r")
    assert done.returncode == 0, done.stderr
    done = run("analyse.py", "r", "--again", 4)
    assert done.returncode == 0, done.stderr
    assert "moves by" in done.stdout
    assert "trials were trained again from weights moved by a rounding error" in done.stdout
    assert len(pd.read_csv(tmp_path / "r" / AGAIN)) == 4
