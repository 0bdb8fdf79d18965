"""The engine `fit`, on real Keras."""

import gc
import math

import pytest

from tests.conftest import PROBLEMS, REPOSITORY, TINY, changed, packing_of, train_pack
from tuning.problem import load_data, load_problem
from tuning.training.fit import compiled_model, fit, score_names
from tuning.training.worker import PROBES, Job, probe

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def tiny():
    problem = load_problem(str(TINY))
    return problem, load_data(problem)


@pytest.fixture(scope="module")
def troubled():
    problem = load_problem(str(PROBLEMS / "troubled.py"))
    return problem, load_data(problem)


def test_an_outcome_depends_on_configuration_and_seed_alone(tiny):
    problem, data = tiny
    first = [fit(problem, data, trial, seed=0) for trial in (7, 22)]
    again = [fit(problem, data, trial, seed=0) for trial in (22, 7)]
    other_seed = fit(problem, data, 7, seed=1)
    for outcome, same in zip(first, reversed(again), strict=True):
        assert outcome.status == "ok"
        assert (outcome.metrics, outcome.curve) == (same.metrics, same.curve)
    assert other_seed.metrics["val_loss"] != first[0].metrics["val_loss"]


def test_a_longer_training_passes_through_the_shorter(tiny):
    problem, data = tiny
    short = problem.grid.index({**problem.grid[0], "epochs": 1})
    long = problem.grid.index({**problem.grid[0], "epochs": 2})
    curve = fit(problem, data, long, seed=0).curve
    assert len(curve) == 2
    assert fit(problem, data, short, seed=0).curve == curve[:1]


def test_the_metrics_are_those_of_the_last_epoch_and_of_the_test_data(tiny):
    problem, data = tiny
    outcome = fit(problem, data, 5, seed=0)
    assert set(outcome.metrics) == {
        f"{split}_{name}" for split in ("train", "val", "test") for name in ("loss", "accuracy")
    }
    assert outcome.metrics["val_loss"] == outcome.curve[-1]["val_loss"]
    assert outcome.metrics["train_loss"] == outcome.curve[-1]["loss"]
    assert (outcome.metrics["test_accuracy"] * 64) == pytest.approx(
        round(outcome.metrics["test_accuracy"] * 64), abs=1e-4
    )
    assert outcome.seconds >= sum(outcome.epoch_seconds) > 0


@pytest.mark.usefixtures("tiny")
def test_every_row_is_trained_once_an_epoch_the_short_last_batch_too():
    import keras
    import numpy as np

    from tuning.training.batches import Split

    x = np.arange(10, dtype="float64")[:, None]
    seen = [np.asarray(batch[0]) for batch in Split((x, x[:, 0])).batches(4, np.arange(10)[::-1])]
    assert [len(batch) for batch in seen] == [4, 4, 2]
    assert np.concatenate(seen)[:, 0].tolist() == list(range(9, -1, -1))
    assert seen[0].dtype == keras.config.floatx()


def test_a_model_that_does_not_build_fails_in_one_line(troubled):
    outcome = fit(*troubled, trial=1, seed=0)
    assert (outcome.status, outcome.error) == ("failed", "ValueError: two lines")
    assert outcome.metrics == {}


def test_a_loss_that_is_not_finite_ends_the_trial(troubled):
    outcome = fit(*troubled, trial=2, seed=0)
    assert outcome.status == "diverged"
    assert outcome.error == f"the loss was not finite in epoch {len(outcome.curve)}"
    assert len(outcome.curve) < 3
    assert not math.isfinite(outcome.curve[-1]["loss"] + outcome.curve[-1]["val_loss"])
    assert outcome.metrics == {}


def test_several_inputs_and_other_metrics(tiny):
    problem = load_problem(str(PROBLEMS / "two_inputs.py"))
    data = load_data(problem)
    outcome = fit(problem, data, 1, seed=0)
    assert (outcome.status, outcome.error) == ("ok", "")
    assert set(outcome.metrics) >= {"val_loss", "val_mae", "test_mae", "train_loss"}
    assert score_names(compiled_model(problem, problem.grid[0], 0), data) == ["loss", "mae"]


def test_parts_that_cannot_describe_themselves_train_in_both_engines():
    problem, packing = packing_of(REPOSITORY / "tests" / "zoo" / "without_config.py")
    assert {axis.kind for axis in packing.axes.values()} == {"lifted", "fidelity"}
    data = load_data(problem)
    (packed,) = train_pack(problem, data, [0], 0, packing)
    assert packed.engine == "vectorized"
    assert fit(problem, data, 0, 0).metrics == pytest.approx(packed.metrics, rel=1e-4, abs=1e-6)


def test_a_worker_keeps_nothing_of_the_models_it_trained(tiny):
    problem, data = tiny
    for trial in range(2):
        fit(problem, data, trial, seed=0)
    gc.collect()
    before = len(gc.get_objects())
    for trial in range(3):
        fit(problem, data, trial, seed=0)
    gc.collect()
    assert len(gc.get_objects()) - before < 500  # a model left behind is over 8,000


def test_the_probe_passes_over_models_that_do_not_build(tmp_path):
    old = "    import keras\n"
    path = changed(tmp_path, (old, f"{old}    assert config['batch_size'] == 64\n"))
    problem = load_problem(str(path))
    found = probe(problem, load_data(problem), Job(0, "jax"), pack=False)
    assert (found.metrics, found.error) == (["loss", "accuracy"], "")
    assert len(found.model_fingerprint) == 64
    assert PROBES > 1


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ("return 3", "has to return a Keras model, not int"),
        ("return keras.Sequential([keras.Input((4,))])", "has to return a compiled model"),
    ],
)
def test_what_is_no_compiled_model_is_refused(tmp_path, returned, says):
    path = changed(tmp_path, ("    model = keras", f"    {returned}\n    model = keras"))
    problem = load_problem(str(path))
    found = probe(problem, load_data(problem), Job(0, "jax"), pack=False)
    assert says in found.error
