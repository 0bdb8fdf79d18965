"""What shares a program, found by tracing models and comparing what they do."""

import copy
import json
import pickle

import numpy as np
import pytest

from tests.conftest import PROBLEMS, TINY, changed, packing_of
from tuning import load_problem
from tuning.engines.models import compiled_model
from tuning.execution.worker import Job, probe
from tuning.packing.axes import Packing
from tuning.problem.problem import load_data
from tuning.space.recorded import Recorded

pytestmark = pytest.mark.usefixtures("worker")


def kinds(packing):
    return {name: axis.kind for name, axis in packing.axes.items()}


def test_the_built_in_grid_comes_to_300_programs():
    problem, packing = packing_of("mnist_2_vs_7")
    structural = ["batch_size", "optimizer", "neurons", "activation"]
    lifted = ["learning_rate", "dropout_1", "dropout_2"]
    assert kinds(packing) == {
        **dict.fromkeys(structural, "structural"),
        **dict.fromkeys(lifted, "lifted"),
        "epochs": "fidelity",
    }
    assert packing.count(problem.grid) == (300, 14_400, 172_800)
    assert packing.axes["learning_rate"].why == "sgd/learning_rate"
    assert packing.axes["dropout_1"].why == "a number in dropout"
    assert packing.axes["neurons"].why == "dense/kernel: 784×64 or 784×128"
    assert packing.axes["optimizer"].why == "the optimizer: sgd or rm_sprop"
    assert packing.drawn


def test_everything_that_can_be_lifted_is():
    problem, packing = packing_of(PROBLEMS / "lifted.py")
    expected = dict.fromkeys(problem.grid.axes, "lifted")
    assert kinds(packing) == {
        **expected,
        **dict.fromkeys(
            ["batch_size", "l1", "smoothing"], "structural"
        ),  # Keras: if l1, if smoothing
        "epochs": "fidelity",
    }
    assert packing.count(problem.grid)[0] == 4


def test_an_axis_no_model_reads_shares_the_program(tmp_path):
    path = changed(tmp_path, ('"epochs": [1, 2],', '"epochs": [1, 2], "fold": ["a", "b"],'))
    _, packing = packing_of(path)
    assert (packing.axes["fold"].kind, packing.axes["fold"].why) == (
        "lifted",
        "it leaves the model as it is",
    )


@pytest.mark.parametrize(
    ("old", "new", "axis"),
    [
        (  # a schedule made of the axis
            'keras.optimizers.Adam(config["learning_rate"])',
            "keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay("
            'config["learning_rate"], 10, 0.9))',
            "learning_rate",
        ),
        (  # how long is not all that epochs says
            'keras.optimizers.Adam(config["learning_rate"])',
            'keras.optimizers.Adam(config["learning_rate"] / config["epochs"])',
            "epochs",
        ),
        (  # nothing in the configuration tells it, but the initial weights do
            "    return model",
            '    model.layers[0].set_weights([w * config["learning_rate"] + 1 for w in '
            "model.layers[0].get_weights()])\n    return model",
            "learning_rate",
        ),
        (
            "keras.layers.Dropout(0.1)",
            'keras.layers.Lambda(lambda x: x * config["learning_rate"])',
            "learning_rate",
        ),
        (
            'loss="binary_crossentropy"',
            'loss=lambda y, p: keras.ops.mean((y - p) ** 2) * config["learning_rate"]',
            "learning_rate",
        ),
    ],
)
def test_whatever_moves_a_number_is_lifted(tmp_path, old, new, axis):
    _, packing = packing_of(changed(tmp_path, (old, new)))
    assert packing.axes[axis].kind == "lifted"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('metrics=["accuracy"]', 'metrics=["accuracy"], run_eagerly=True', "run_eagerly=True"),
        ('metrics=["accuracy"]', 'metrics=["accuracy"], jit_compile=False', "jit_compile=False"),
        (
            "    return model",
            "    model.fit = functools.partial(model.fit, class_weight={0: 1, 1: 2})\n"
            "    return model",
            "its model has a fit of its own",
        ),
    ],
)
def test_what_no_step_shows_goes_through_fit(tmp_path, old, new, says):
    imported = ("import numpy as np\n", "import functools\n\nimport numpy as np\n")
    _, packing = packing_of(changed(tmp_path, (old, new), imported))
    assert says in packing.reason


def test_values_that_share_a_program_are_one_class(tmp_path):
    path = changed(
        tmp_path,
        ('"epochs": [1, 2],', '"momentum": [0.0, 0.5, 0.9], "epochs": [1, 2],'),
        ('keras.optimizers.Adam(config["learning_rate"])',
         'keras.optimizers.SGD(config["learning_rate"], momentum=config["momentum"])'),
    )  # fmt: skip
    problem, packing = packing_of(path)
    axis = packing.axes["momentum"]
    assert axis.kind == "structural"
    assert axis.programs(problem.grid.axes["momentum"]) == 2
    one, other, third = (
        packing.program({**problem.grid[0], "momentum": value}) for value in (0.0, 0.5, 0.9)
    )
    assert one != other == third


def test_a_model_that_cannot_be_vectorized_says_so(tmp_path):
    """A layer that calls back to Python, of which JAX cannot make many at once."""
    path = changed(
        tmp_path,
        (
            "import numpy as np\n",
            "import numpy as np\nimport jax\nimport keras\n\n"
            "class Asks(keras.layers.Layer):\n    def call(self, x):\n"
            "        like = jax.ShapeDtypeStruct(x.shape, x.dtype)\n"
            "        return x + jax.pure_callback(np.zeros_like, like, jax.lax.stop_gradient(x))\n"
            "    def compute_output_spec(self, x):\n"
            "        return keras.KerasTensor(x.shape, x.dtype)\n"
            "    def get_config(self):\n        return super().get_config()\n",
        ),
        ("keras.layers.Dropout(0.1)", "Asks()"),
    )
    problem = load_problem(str(path))
    found = probe(problem, load_data(problem), Job(0, "jax"), pack=True)
    assert (found.error, found.metrics) == ("", ["loss", "accuracy"])
    assert found.packing.reason == "its step calls back to Python (pure_callback)"


@pytest.mark.parametrize(
    "read",
    [
        dict,
        lambda c: {**c},
        list,
        lambda c: c.items(),
        lambda c: c.copy(),
        lambda c: c | {},
        lambda c: {} | c,
        lambda c: c == {},
        lambda c: c.setdefault("b", 3),
        lambda c: "b" in c,
        lambda c: c.popitem(),
        str,
        json.dumps,
        copy.deepcopy,
        pickle.dumps,
    ],
)
def test_however_a_configuration_is_read_it_is_noticed(read):
    recorded = Recorded({"a": 1, "b": 2})
    assert recorded["a"] == 1
    assert recorded.read == {"a"}
    read(recorded)
    assert recorded.read == {"a", "b"}


def test_initial_weights_do_not_depend_on_what_was_compiled_before():
    """Keras by itself draws them with optimized code, which rounds otherwise."""
    import jax
    import keras

    problem = load_problem(str(TINY))
    wide = {**problem.grid[0], "units": 8}

    def ours():
        return compiled_model(problem, wide, 3).get_weights()[0]

    def plain():
        return keras.initializers.GlorotUniform(seed=3)((4, 8))

    def drawn(*functions):
        jax.clear_caches()
        return [np.asarray(function()) for function in functions]

    for one, other in zip(drawn(ours, plain), reversed(drawn(plain, ours)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_initial_weights_do_not_depend_on_dropout():
    problem = load_problem("mnist_2_vs_7")
    some = {**problem.grid[0], "dropout_1": 0.5}
    for one, other in zip(
        compiled_model(problem, problem.grid[0], 3).get_weights(),
        compiled_model(problem, some, 3).get_weights(),
        strict=True,
    ):
        assert (one == other).all()


def test_the_parameters_of_a_configuration_are_known_without_its_model():
    problem, packing = packing_of("mnist_2_vs_7")
    wide = {**problem.grid[0], "neurons": 256, "activation": "tanh", "learning_rate": 0.1}
    for configuration in (problem.grid[0], wide):
        model = compiled_model(problem, configuration, seed=0)
        assert packing.size(configuration) == pytest.approx(model.count_params())
    assert Packing(reason="not packed", parameters=9).size(wide) == 0
