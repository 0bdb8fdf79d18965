"""A row again in plain Keras, and what making its model leaves of the caller's process."""

import random
import sys

import numpy as np
import pytest

from tests.conftest import PROBLEMS, REPOSITORY, TINY, fit, packing_of, train_pack, trial_at
from tuning.engines.batches import row_order
from tuning.engines.models import compiled_model
from tuning.engines.repeat import initial_model, lines_to_repeat
from tuning.engines.scores import shortest_float32
from tuning.errors import TuningError
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data

pytestmark = pytest.mark.usefixtures("worker")

ZOO = REPOSITORY / "tests" / "zoo"


@pytest.fixture
def public(monkeypatch):
    """The two functions under their public names."""
    import tuning

    monkeypatch.setattr(tuning, "initial_model", initial_model, raising=False)
    monkeypatch.setattr(tuning, "row_order", row_order, raising=False)


def repeated(problem, data, trial):
    """The scores that the printed lines come to."""
    text = lines_to_repeat(trial, imports="import numpy")
    names = {"build_model": problem.build_model, "load_data": lambda: data}
    exec(text, names)
    last = {name: values[-1] for name, values in names["history"].history.items()}
    tested = {f"test_{name}": value for name, value in names["scores"].items()}
    trained = {name if name[:4] == "val_" else f"train_{name}": v for name, v in last.items()}
    return {name: shortest_float32(value) for name, value in {**trained, **tested}.items()}


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("path", "index"),
    [
        (TINY, 3),  # with dropout
        (ZOO / "lstm_dropouts.py", 0),
        (ZOO / "ema_momentum.py", 1),
        (ZOO / "sample_weights.py", 0),
        (ZOO / "own_train_step.py", 0),
        pytest.param(PROBLEMS / "two_inputs.py", 1, marks=pytest.mark.slow),
        pytest.param(ZOO / "gru_stacked.py", 0, marks=pytest.mark.slow),
        pytest.param(ZOO / "batchnorm_options.py", 0, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "stem", value),
)
def test_the_printed_lines_give_a_row_of_fit_to_the_last_digit(path, index):
    problem = load_problem(str(path))
    data = load_data(problem)
    outcome = fit(problem, data, index, seed=5)
    scores = repeated(problem, data, trial_at(problem, index, 5))
    assert scores == outcome.metrics


@pytest.mark.usefixtures("public")
def test_the_printed_lines_give_a_row_of_a_pack():
    problem, packing = packing_of(ZOO / "dense_dropout_l2.py")
    data = load_data(problem)
    index = next(i for i in range(problem.grid.size) if not problem.grid[i].get("dropout"))
    (outcome,) = train_pack(problem, data, [index], 2, packing)
    assert outcome.engine == "vectorized"
    scores = repeated(problem, data, trial_at(problem, index, 2))
    assert scores == pytest.approx(outcome.metrics, rel=1e-5)


def test_a_model_begins_as_its_trial_did():
    problem = load_problem(str(ZOO / "lstm_dropouts.py"))
    config = problem.grid[1]
    trials = compiled_model(problem, config, 3)
    expected = [(v.path, v.numpy()) for v in trials.variables]
    own = initial_model(problem.build_model, config, 3)
    for (path, value), variable in zip(expected, own.variables, strict=True):
        assert path == variable.path
        np.testing.assert_array_equal(value, variable.numpy())


def test_it_leaves_names_settings_and_random_states_as_they_were():
    import keras

    problem = load_problem(str(TINY))
    keras.utils.set_random_seed(11)
    keras.random.normal((1,))
    keras.layers.Dense(1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        before = random.getstate(), np.random.get_state()[1].tolist()
        draws = []
        for model in (None, initial_model(problem.build_model, problem.grid[0], 0)):
            assert model is None or model.dtype_policy.name == "mixed_bfloat16"
            generator = keras.src.random.seed_generator.global_seed_generator()
            draws.append(generator.state.numpy().tolist())
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before
        assert draws[0] == draws[1]
        name = keras.layers.Dense(1).name
        assert int(name.rpartition("_")[2]) >= 1
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("build_model", "says"),
    [
        (lambda _: 3, "build_model has to return a Keras model, not int"),
        (lambda _: sys.exit("no"), "build_model exits"),
    ],
)
def test_what_is_no_model_is_refused(build_model, says):
    with pytest.raises(TuningError, match=says):
        initial_model(build_model, {}, 0)


def test_the_lines_name_what_the_user_has():
    problem = load_problem(str(TINY))
    text = lines_to_repeat(
        trial_at(problem, 3),
        imports="from mine import make, rows",
        build_model="make",
        load_data="rows",
        test=False,
    )
    assert "from mine import make, rows\n" in text
    assert "tuning.initial_model(make, config, seed)" in text
    assert "data, config, seed = rows(), {" in text
    assert "test" not in text
