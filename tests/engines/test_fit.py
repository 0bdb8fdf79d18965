"""The engine `fit`, on real Keras."""

import gc
import math
import os
import subprocess
import sys

import pytest

from tests.conftest import PROBLEMS, REPOSITORY, TINY, changed, fit, packing_of, train_pack
from tests.plain import train_plainly
from tuning.engines.fit import score_names
from tuning.engines.models import compiled_model
from tuning.execution.worker import Job, probe
from tuning.packing.axes import Packing
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.space.near import PROBES

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


ROWS = """
import numpy as np
from tuning.engines.batches import Orders, Split, row_order

x = np.arange(10, dtype="float64")[:, None]
orders = Orders(3, 10)
batches = Split((x, x[:, 0])).batches(4, orders)
for epoch in range(3):
    if hasattr(batches, "on_epoch_end"):
        batches[0], batches.on_epoch_end()  # as Keras looks at a batch before it trains
        seen = [np.asarray(batches[i][0]) for i in range(len(batches))]
        batches.on_epoch_end()
    else:
        seen = [np.asarray(batch[0]) for batch in batches]
    assert [len(batch) for batch in seen] == [4, 4, 2]
    assert np.concatenate(seen)[:, 0].tolist() == row_order(3, epoch, 10).tolist()
    assert seen[0].dtype == "float32"
assert len(orders.begun) == 3
"""


@pytest.mark.usefixtures("tiny")
def test_every_row_is_trained_once_an_epoch_in_an_order_of_its_own():
    exec(ROWS, {})


def test_it_is_so_on_tensorflow():
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", ROWS], env=environment, check=False)
    assert done.returncode == 0


AVERAGED = "use_ema=True, ema_momentum=0.9"


@pytest.mark.parametrize(
    "averaged",
    [AVERAGED, f"{AVERAGED}, ema_overwrite_frequency=5", f"{AVERAGED}, weight_decay=0.1"],
)
def test_averaged_weights_are_scored_when_training_has_ended(averaged, tmp_path):
    path = changed(
        tmp_path,
        ('config["learning_rate"]', f'config["learning_rate"], {averaged}'),
        ("keras.layers.Dropout(0.1),", ""),
    )
    problem = load_problem(str(path))
    data = load_data(problem)
    trial = problem.grid.index({**problem.grid[3], "epochs": 2})
    alone = fit(problem, data, trial, 0)
    (packed,) = train_pack(problem, data, [trial], 0, Packing())
    plain = train_plainly(problem, data, trial, 0)
    assert packed.engine == "vectorized"
    assert alone.metrics == pytest.approx(plain, rel=1e-4, abs=1e-6)
    assert packed.metrics == pytest.approx(plain, rel=1e-4, abs=1e-6)


FITS = {
    "class": """
    class Mine(keras.Sequential):
        def fit(self, *args, **kwargs):
            stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=9.0)
            return super().fit(*args, callbacks=[stop], **kwargs)
    model = Mine(model.layers)
""",
    "instance": """
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=9.0)
    model.fit = functools.partial(model.fit, callbacks=[stop])
""",
    "all of Keras": """
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=9.0)
    if not isinstance(keras.Model.fit, functools.partialmethod):
        keras.Model.fit = functools.partialmethod(keras.Model.fit, callbacks=[stop])
""",
}


@pytest.mark.parametrize("own", FITS.values(), ids=FITS)
def test_a_fit_of_the_models_own_acts_over_all_epochs(own, tmp_path, monkeypatch):
    import keras

    monkeypatch.setattr(keras.Model, "fit", keras.Model.fit)
    path = changed(
        tmp_path,
        ("import numpy as np", "import functools\n\nimport numpy as np"),
        ("    model.compile(", f"{own}    model.compile("),
        ('"epochs": [1, 2]', '"epochs": [1, 6]'),
    )
    problem, packing = packing_of(path)
    data = load_data(problem)
    trial = problem.grid.index({**problem.grid[0], "epochs": 6})
    (outcome,) = train_pack(problem, data, [trial], 0, packing)
    assert (outcome.status, outcome.error) == ("ok", "")
    assert len(outcome.curve) == len(outcome.epoch_seconds) == 2
    assert packing.reason == "its model has a fit of its own"


def test_a_model_that_does_not_build_fails_in_one_line(troubled):
    outcome = fit(*troubled, index=1, seed=0)
    assert (outcome.status, outcome.error) == ("failed", "ValueError: two lines")
    assert outcome.metrics == {}


def test_a_loss_that_is_not_finite_ends_the_trial(troubled):
    outcome = fit(*troubled, index=2, seed=0)
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
