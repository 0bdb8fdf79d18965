"""What shares a program, found by building models and comparing them."""

import copy
import json
import pickle

import pytest

from tests.conftest import PROBLEMS, changed, packing_of
from tuning import load_problem
from tuning.packing.axes import Packing, Recorded
from tuning.problem import load_data
from tuning.training.fit import compiled_model
from tuning.training.worker import Job, probe

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
    assert packing.axes["dropout_1"].why == "dropout.rate"
    assert packing.axes["neurons"].why == "layers[1].units: 64 or 128"
    assert packing.built_with(problem.grid[0])["dropout_1"] > 0


def test_everything_that_can_be_lifted_is():
    problem, packing = packing_of(PROBLEMS / "lifted.py")
    expected = dict.fromkeys(problem.grid.axes, "lifted")
    assert kinds(packing) == {
        **expected,
        "batch_size": "structural",
        "scale": "structural",
        "epochs": "fidelity",
    }
    assert packing.axes["smoothing"].why == "loss_0.label_smoothing"
    assert packing.axes["l2"].why == "conv2d/kernel.regularizer.l2"


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
    ],
)
def test_what_cannot_be_lifted_is_structural(tmp_path, old, new, axis):
    _, packing = packing_of(changed(tmp_path, (old, new)))
    assert packing.axes[axis].kind == "structural"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "model = keras.Sequential(",
            "class Mine(keras.Sequential):\n        pass\n    model = Mine(",
            "Mine is a model of a class of its own",
        ),
        (
            "keras.layers.Dropout(0.1)",
            'keras.layers.Lambda(lambda x: x * config["learning_rate"])',
            "is a Lambda",
        ),
        (
            'loss="binary_crossentropy"',
            'loss=lambda y, p: keras.ops.mean((y - p) ** 2) * config["learning_rate"]',
            "function <lambda> is made anew",
        ),
        (
            "    import keras\n",
            "    import keras\n    class Half(keras.layers.Layer):\n"
            "        def call(self, x):\n            return x / 2\n",
            "",
        ),
        ('metrics=["accuracy"]', 'metrics=["accuracy"], run_eagerly=True', "run eagerly"),
    ],
)
def test_what_cannot_be_compared_goes_through_fit(tmp_path, old, new, says):
    replacements = [(old, new)]
    if not says:
        replacements.append(("keras.layers.Dropout(0.1)", "Half()"))
        says = "class Half is made anew"
    _, packing = packing_of(changed(tmp_path, *replacements))
    assert says in packing.reason


def test_a_custom_loss_has_to_tell_what_it_was_made_with(tmp_path):
    untold = (
        "import numpy as np\nimport keras\n\nclass Power(keras.losses.Loss):\n"
        "    def __init__(self, power):\n        super().__init__()\n        self.power = power\n"
        "    def call(self, y, p):\n        return keras.ops.abs(y - p) ** self.power\n"
    )
    told = f"{untold}    def get_config(self):\n        return {{'power': self.power}}\n"
    used = ('loss="binary_crossentropy"', 'loss=Power(config["learning_rate"])')
    _, packing = packing_of(changed(tmp_path, ("import numpy as np\n", untold), used))
    assert packing.reason == "Power does not tell what it was made with: it has no get_config"
    _, packing = packing_of(changed(tmp_path, ("import numpy as np\n", told), used))
    assert packing.reason == ""
    assert packing.axes["learning_rate"].kind == "structural"


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
    assert "its training cannot be vectorized" in found.packing.reason


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
