"""What is used of Keras and JAX beside their public API is still there, and does what it did.

A failure here names what has moved; the versions it was seen to hold for are in
`tuning/compatibility/`.
"""

import functools
import inspect
import subprocess
import sys

import numpy as np
import pytest

from tuning.compatibility import jax as of_jax
from tuning.compatibility import keras as of_keras

pytestmark = pytest.mark.usefixtures("worker")

NOISY = {
    "Dropout": (0.0,),
    "AlphaDropout": (0.0,),
    "GaussianDropout": (0.0,),
    "GaussianNoise": (0.0,),
    "SpatialDropout1D": (0.0,),
}


def built(*layers):
    import keras

    model = keras.Sequential([keras.Input((5, 4)), *layers, keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_all_variables_of_a_model_are_made():
    import jax

    model = built()
    assert hasattr(model, "_symbolic_build"), "Keras has moved Model._symbolic_build"
    shapes = tuple(jax.ShapeDtypeStruct((8, *shape), "float32") for shape in ((5, 4), (5, 1)))
    of_keras.build_state(model, shapes)
    before = len(model.optimizer.variables), len(model.metrics_variables)
    of_keras.build_state(model, shapes)
    assert (len(model.optimizer.variables), len(model.metrics_variables)) == before == (6, 4)


def test_seeds_of_noise_do_not_move_initial_weights():
    import keras

    def weights(rate):
        keras.utils.set_random_seed(1)
        with of_keras.seeds_of_noise_apart(1):
            return built(keras.layers.Dropout(rate)).get_weights()

    module = keras.src.random.seed_generator
    assert hasattr(module, "make_default_seed"), "Keras has moved make_default_seed"
    for one, other in zip(
        weights(0.0), [w for w in weights(0.5) if w.dtype != "uint32"], strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NOISY)
def test_noise_of_strength_zero_is_drawn_and_changes_nothing(name):
    import jax
    import keras

    kind = getattr(keras.layers, name)
    assert kind in of_keras.noisy_layers(), f"Keras' {name} does not take a seed any more"
    plain = kind(*NOISY[name])
    with of_keras.noise_of_strength_zero_drawn():
        drawn = kind(*NOISY[name], seed=3)
    assert not plain.variables
    assert drawn.variables, f"Keras' {name} does not ask whether its strength is above 0"
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    np.testing.assert_array_equal(np.asarray(drawn(x, training=True)), x)
    traced = str(jax.make_jaxpr(lambda x, seed: stateless(drawn, x, seed))(x, np.uint32([1, 2])))
    assert "random_bits" in traced, f"Keras' {name} draws nothing of strength 0"


def stateless(layer, x, seed):
    import keras

    with keras.StatelessScope(state_mapping=[(layer.seed_generator.state, seed)]):
        return layer(x, training=True)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_recurrent_dropout_of_zero_is_drawn_and_changes_nothing(kind):
    import jax
    import keras

    def layer(**rates):
        keras.utils.set_random_seed(0)
        return getattr(keras.layers, kind)(3, seed=1, implementation=1, **rates)

    if kind == "SimpleRNN":

        def layer(**rates):
            keras.utils.set_random_seed(0)
            return keras.layers.SimpleRNN(3, seed=1, **rates)

    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    with of_keras.noise_of_strength_zero_drawn():
        drawn = layer(dropout=0.0, recurrent_dropout=0.0)
    np.testing.assert_allclose(
        np.asarray(drawn(x, training=True)), np.asarray(layer()(x, training=True)), rtol=1e-5
    )
    seed = next(v for v in drawn.variables if "seed" in v.path)

    def run(x, value):
        with keras.StatelessScope(state_mapping=[(seed, value)]):
            return drawn(x, training=True)

    assert str(jax.make_jaxpr(run)(x, np.uint32([1, 2]))).count("random_bits") >= 2


def test_constructors_are_as_they_were_when_nothing_is_drawn_any_more():
    import keras

    before = keras.layers.Dropout.__init__
    with pytest.raises(ValueError, match="rate"), of_keras.noise_of_strength_zero_drawn():
        keras.layers.Dropout(-1)
    assert keras.layers.Dropout.__init__ is before
    assert "rate" in inspect.signature(keras.layers.Dropout).parameters


def test_a_fit_of_ones_own_is_seen():
    import keras

    class Mine(keras.Model):
        def fit(self, *args, **kwargs):
            return super().fit(*args, **kwargs)

    model = built()
    assert of_keras.own_loop(model) == ""
    assert of_keras.own_loop(Mine()) == "fit"
    model.evaluate = lambda *_: None
    assert of_keras.own_loop(model) == "evaluate"


def test_the_rows_that_a_model_takes_are_known():
    import keras

    assert of_keras.fixed_rows(built()) is None
    inputs = keras.Input(batch_shape=(7, 2))
    assert of_keras.fixed_rows(keras.Sequential([inputs, keras.layers.Dense(1)])) == 7


def test_calls_and_loops_have_their_operations_where_they_had_them():
    import jax
    import jax.numpy as jnp

    def function(x):
        x = jax.checkpoint(jnp.sin)(jax.nn.relu(x))
        x = jax.lax.scan(lambda c, _: (c * 2, None), x, None, length=3)[0]
        x = jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x + 1, x)
        return jax.lax.cond(x.sum() > 3, lambda x: x, lambda x: -x, x)

    seen = {}

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            name = equation.primitive.name
            places = (of_jax.CALLS[name],) if name in of_jax.CALLS else of_jax.LOOPS.get(name, ())
            for place in places:
                assert place in equation.params, f"JAX keeps what is in {name} elsewhere"
                for inner in np.atleast_1d(np.array(equation.params[place], dtype=object)):
                    seen[name] = True
                    visit(of_jax.parts(inner)[0])

    visit(jax.make_jaxpr(function)(np.ones(3, np.float32)).jaxpr)
    assert {"scan", "while", "cond", "jit", "custom_jvp_call"} <= set(seen)


def test_an_operation_knows_the_function_that_wrote_it():
    import jax

    def written(x):
        return x * 2

    (equation,) = jax.make_jaxpr(written)(1.0).jaxpr.eqns
    assert of_jax.where_written(equation.source_info).endswith("written")


def test_keras_says_of_its_metrics_which_way_is_better():
    import keras

    arguments = {"num_classes": 3, "target_class_ids": [0], "fn": keras.losses.huber}
    without = {"Mean", "Sum", "Metric", "MeanMetricWrapper"}
    lower = {
        *("FalseNegatives", "FalsePositives", "KLDivergence", "Poisson", "LogCoshError"),
        *("Hinge", "SquaredHinge", "CategoricalHinge", "RootMeanSquaredError"),
        *("MeanAbsoluteError", "MeanSquaredError", "MeanAbsolutePercentageError"),
        *("MeanSquaredLogarithmicError", "BinaryCrossentropy", "CategoricalCrossentropy"),
        "SparseCategoricalCrossentropy",
    }
    kinds = {k for k in vars(keras.metrics).values() if inspect.isclass(k)}
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        if kind.__name__ in without:
            continue
        needed = inspect.signature(kind).parameters.values()
        given = {
            p.name: arguments.get(p.name, 0.5)
            for p in needed
            if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        }
        metric = kind(**given, name="mine")
        mode, what = of_keras.better(with_metrics([metric]), "mine")
        assert mode == ("min" if kind.__name__ in lower else "max"), f"{kind.__name__}: {mode}"
        assert what == f"keras.metrics.{kind.__name__}"


def test_a_loss_used_as_a_metric_is_the_better_the_lower():
    import keras

    def mine(y, p):
        return keras.ops.mean(p, -1)

    class Mine(keras.losses.Loss):
        def call(self, y, p):
            return mine(y, p)

    functions = [f for f in vars(keras.losses).values() if inspect.isfunction(f)]
    losses = [f for f in functions if f.__name__ not in ("get", "serialize", "deserialize")]
    cases = [
        *((loss, "min") for loss in losses),
        (functools.partial(keras.losses.huber, delta=2.0), "min"),
        (keras.losses.Huber(), "min"),
        (Mine(name="accuracy"), "min"),
        (keras.metrics.binary_accuracy, "max"),
        (mine, ""),
        (keras.metrics.MeanMetricWrapper(mine, name="loss_of_mine"), ""),
    ]
    for metric, mode in cases:
        model = with_metrics([metric])
        (score,) = set(of_keras._metrics_by_score(model)) - {"loss"}
        assert of_keras.better(model, score)[0] == mode, metric
        assert of_keras.better(model, "loss") == ("min", "the loss")


def with_metrics(metrics):
    """A compiled model whose metrics have names, without their variables."""
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse", metrics=metrics)
    symbol = keras.KerasTensor((8, 3))
    model._compile_metrics.build(symbol, symbol)
    model._compile_metrics.result = lambda: {
        each.name: 0 for each in model._compile_metrics.metrics
    }
    return model


def test_keras_asks_for_tensorflow_where_it_did():
    import keras

    lazy = keras.src.utils.module_utils.tensorflow
    assert hasattr(lazy, "_available"), "Keras has moved LazyModule._available"
    lazy._available = False
    of_keras.let_tensorflow_come_back()
    assert lazy._available is None


def test_kernels_of_tpus_are_imported_when_they_are_used():
    program = "\n".join(
        (
            "from tuning.execution.worker import prepare; prepare('jax')",
            "import sys; from keras.src.backend.jax import nn",
            "assert not any('splash_attention' in name for name in sys.modules)",
            "mask = nn.splash_attention_mask.CausalMask(shape=(2, 2))",
            "import jax.experimental.pallas.ops.tpu.splash_attention as own",
            "assert type(mask) is own.splash_attention_mask.CausalMask",
        )
    )
    subprocess.run([sys.executable, "-c", program], check=True)
