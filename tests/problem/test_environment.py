"""What outside of a problem's file changes its numbers is held, or told of."""

import pytest

from tests.conftest import TINY, changed, packing_of, train_pack, trial_at
from tests.runs.test_results import manifest
from tuning.engines.models import compiled_model
from tuning.execution.worker import Job, train
from tuning.problem import environment as surroundings
from tuning.problem.environment import environment
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.runs.manifest import differences

pytestmark = pytest.mark.usefixtures("worker")

SETTINGS = {
    "policy": "keras.config.set_dtype_policy('mixed_bfloat16')",
    "floatx": "keras.config.set_floatx('float16')",
    "format": "keras.config.set_image_data_format('channels_first')",
}


@pytest.fixture(autouse=True)
def settings_of_keras():
    import keras

    yield
    keras.utils.clear_session()
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    surroundings._settings_of.cache_clear()


def setting(tmp_path, where, line):
    """The tiny problem, with a line in its file or in its build_model."""
    if where == "file":
        top = "from tuning import Grid"
        return changed(tmp_path, (top, f"{top}\n\nimport keras\n{line}"))
    return changed(tmp_path, ("    import keras\n", f"    import keras\n    {line}\n"))


def test_settings_of_the_file_hold_for_every_model(tmp_path):
    problem = load_problem(str(setting(tmp_path, "file", SETTINGS["policy"])))
    for trial in (0, 1):
        model = compiled_model(problem, problem.grid[trial], 0)
        assert {layer.dtype_policy.name for layer in model.layers} == {"mixed_bfloat16"}
    assert environment(problem)["dtype_policy"] == "mixed_bfloat16"


@pytest.mark.parametrize("line", SETTINGS.values(), ids=SETTINGS)
def test_settings_of_one_model_do_not_reach_the_next(tmp_path, line):
    path = setting(tmp_path, "model", f"if config['units'] == 8: {line}")
    problem = load_problem(str(path))
    before = environment(problem)
    data = load_data(problem)
    trials = [
        problem.grid.index({**problem.grid[0], "units": units})
        for units in sorted({problem.grid[i]["units"] for i in range(problem.grid.size)})
    ]
    told = {}
    for order in (trials, trials[::-1]):
        for trial in order:
            (report,) = train(problem, data, [trial_at(problem, trial)], Job(0, "jax"))
            told.setdefault(trial, set()).add(report.outcomes[0].metrics["val_loss"])
    assert all(len(values) == 1 for values in told.values())
    assert environment(problem) == before


@pytest.mark.parametrize("name", ["KERAS_NNX_ENABLED", "JAX_ENABLE_X64", "TF_ENABLE_ONEDNN_OPTS"])
def test_variables_that_change_numbers_are_known(name, monkeypatch):
    problem = load_problem(str(TINY))
    before = environment(problem)
    monkeypatch.setenv(name, "1")
    assert environment(problem) == {**before, name: "1"}


@pytest.mark.parametrize("name", ["KERAS_HOME", "TF_VAR_password", "JAX_TRACEBACK_FILTERING"])
def test_others_are_not_written_down(name, monkeypatch):
    problem = load_problem(str(TINY))
    before = environment(problem)
    monkeypatch.setenv(name, "1")
    assert environment(problem) == before


def test_a_run_goes_on_in_no_other_environment():
    old = manifest(environment={"floatx": "float32", "JAX_ENABLE_X64": "1"})
    new = manifest(environment={"floatx": "float16"})
    assert differences(old, new) == [
        "its floatx is float32, not float16",
        "its JAX_ENABLE_X64 is 1, not unset",
    ]


def test_a_worker_set_up_otherwise_does_not_train():
    problem, packing = packing_of(TINY)
    data = load_data(problem)
    job = Job(0, "jax", packing=packing, environment={**environment(problem), "floatx": "float16"})
    with pytest.raises(Exception, match="its floatx is float16, not float32"):
        list(train(problem, data, [trial_at(problem, 0)], job))
    assert train_pack(problem, data, [0], 0, packing)[0].status == "ok"


def test_limits_on_fit_for_trials_of_code_do_not_count():
    import keras

    problem = load_problem(str(TINY))
    data = load_data(problem)
    (whole,) = train(problem, data, [trial_at(problem, 3)], Job(0, "jax"))
    keras.config.set_max_steps_per_epoch(1)
    (same,) = train(problem, data, [trial_at(problem, 3)], Job(0, "jax"))
    assert same.outcomes[0].metrics == whole.outcomes[0].metrics != {}
