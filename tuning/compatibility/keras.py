"""Private names and habits of Keras that packs rest on. Seen to hold for Keras 3.15."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import math
import random
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

NOT_FIT = ("fit", "evaluate", "make_train_function", "make_test_function")
"""Methods around the step: a model that has its own is trained by them alone."""


def build_with_loss(model: keras.Model, batch: Any) -> None:
    """Create the variables of a compiled model, its metrics and its loss by a call of each.

    Nothing is computed. Parameters and errors are those of `build_state`.
    """
    model._symbolic_build(data_batch=batch)


def build_metrics(model: keras.Model, batch: Any) -> None:
    """Create the variables of a compiled model and its metrics, computing nothing.

    Parameters and errors are those of `build_state`.
    """
    import keras

    compiled_loss, compiled_metrics = model._compile_loss, model._compile_metrics
    x, y, weights = keras.utils.unpack_x_y_sample_weight(keras.tree.map_structure(_symbol, batch))
    outputs = _outputs(model, x)
    if outputs is None or None in (compiled_loss, compiled_metrics):
        build_with_loss(model, batch)
        return
    try:
        if not compiled_metrics.built:
            keras.src.backend.compute_output_spec(
                model.compute_metrics, x, y, outputs, sample_weight=weights
            )
        if not compiled_loss.built:
            compiled_loss.build(y, outputs)
        model._post_build()
    except Exception:  # such as outputs of another number of rows than the inputs
        compiled_metrics.built = compiled_loss.built = False
        build_with_loss(model, batch)


def _symbol(array: Any) -> Any:
    import keras

    return keras.KerasTensor(array.shape, str(array.dtype))


def _outputs(model: keras.Model, x: Any) -> Any:
    """A model's output for a batch, where Keras knows it without calling the model again.

    To find it is half the work of `_symbolic_build`. None of a model that is not a graph of layers,
    has a loss of its own, or returns of other shapes than it has in its graph.
    """
    import keras

    graph = getattr(model, "_functional", None) or model
    plain = type(model) in (keras.Model, keras.Sequential, keras.src.models.functional.Functional)
    if not plain or not hasattr(graph, "_outputs_struct") or not model.built:
        return None
    taken, known = keras.tree.flatten(x), keras.tree.flatten(graph._inputs_struct)
    returned = keras.tree.flatten(graph._outputs_struct)
    if [t.shape[1:] for t in taken] != [k.shape[1:] for k in known]:
        return None
    if any(None in each.shape[1:] for each in returned):
        return None
    rows = taken[0].shape[0]
    return keras.tree.map_structure(
        lambda known: keras.KerasTensor((known.shape[0] or rows, *known.shape[1:]), known.dtype),
        graph._outputs_struct,
    )


def build_state(model: keras.Model, batch: Any) -> None:
    """Create all variables of a compiled model, its metrics and its optimizer.

    Parameters
    ----------
    model : keras.Model
    batch : tuple of arrays, dicts of arrays or `jax.ShapeDtypeStruct`
        x and y of some rows; only shapes and types count.
    """
    build_metrics(model, batch)
    if not model.optimizer.built:  # a second time, some make their variables anew
        model.optimizer.build(model.trainable_variables)
    model.reset_metrics()


def runs_python(model: keras.Model) -> str:
    """The compile option by which Python runs every step of a model on purpose.

    Where a layer says that it does not support jit, Keras switches it off by itself, for the sake
    of TensorFlow; what such a layer does on JAX its trace shows.
    """
    if model.run_eagerly:
        return "run_eagerly=True"
    able = all(getattr(layer, "supports_jit", True) for layer in model._flatten_layers())
    return "jit_compile=False" if able and not model.jit_compile else ""


def fixed_rows(model: keras.Model) -> int | None:
    """The only number of rows that a model takes, as one with `stateful` layers does."""
    inputs = getattr(model, "inputs", None) or ()
    return next((tensor.shape[0] for tensor in inputs if tensor.shape[0] is not None), None)


COUNTS = {
    "FalseNegatives": "min",
    "FalsePositives": "min",
    "TrueNegatives": "max",
    "TruePositives": "max",
}
"""The direction (more or less is better) of metrics for which Keras itself gives none."""


def better(model: keras.Model, score: str) -> tuple[str, str]:
    """The direction of a score (more or less is better), by its class or function, not its name.

    Parameters
    ----------
    model : keras.Model
        Compiled, with the variables of its metrics.
    score : str
        A name of `model.get_metrics_result()`.

    Returns
    -------
    tuple of str
        ``"max"``, ``"min"``, or nothing where Keras does not know it, as of a function of the
        user's own; and what the score is, such as ``keras.metrics.AUC``.
    """
    import keras

    if score == "loss":
        return "min", "the loss"
    metric = _metrics_by_score(model).get(score.partition("[")[0])
    if metric is None:
        losses = getattr(model._compile_loss, "metrics", ())
        of_output = any(score == each.name for each in losses)
        return ("min", "the loss of an output") if of_output else ("", "a score of its own")
    thing: Any
    wraps = type(metric) is keras.metrics.MeanMetricWrapper
    function = getattr(metric, "_fn", None)
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, keras.losses.Loss):
        mode, thing = "min", type(function)
    elif wraps and function in _functions_of(keras.losses):
        mode, thing = "min", function
    elif wraps and function in _functions_of(keras.metrics):
        mode, thing = "max", function  # those of them that are no losses measure agreement
    else:
        thing = function if wraps else type(metric)
        says = {"up": "max", "down": "min"}.get(getattr(metric, "_direction", ""), "")
        kinds = [COUNTS[kind.__name__] for kind in type(metric).__mro__ if kind.__name__ in COUNTS]
        mode = says or next(iter(kinds), "")
    return mode, _public_name(thing)


def directions(model: keras.Model) -> dict[str, str | None]:
    """Of each metric that was compiled ``"up"`` or ``"down"``, as Keras' callbacks look it up.

    Parameters
    ----------
    model : keras.Model
        Compiled, with the variables of its metrics.
    """
    from keras.src.trainers.compile_utils import CompileMetrics, MetricsList

    return {
        each.name: getattr(each, "_direction", None)
        for several in model.metrics
        if isinstance(several, CompileMetrics | MetricsList)
        for each in several.metrics
    }


def metrics_list(metrics: list[Any]) -> Any:
    """Metrics as a model has them, for callbacks to look them up."""
    from keras.src.trainers.compile_utils import MetricsList

    return MetricsList(metrics)


def learning_rate_place(model: keras.Model) -> int | None:
    """Which of the optimizer's variables is its learning rate; None if that is no variable."""
    rate = getattr(model.optimizer, "learning_rate", None)
    found = (i for i, each in enumerate(model.optimizer.variables) if each is rate)
    return next(found, None)


def _metrics_by_score(model: keras.Model) -> dict[str, Any]:
    """The metric that each score is the result of; without those of losses."""
    found: dict[str, Any] = {}
    compiled = model._compile_metrics
    if compiled is not None and compiled.built:
        lists = (*compiled._flat_metrics, *compiled._flat_weighted_metrics)
        metrics = [metric for each in lists if each for metric in each.metrics]
        found |= dict(zip(compiled.result(), metrics, strict=True))
    losses = getattr(model._compile_loss, "metrics", ())
    for metric in model.metrics:
        if metric is not compiled and not any(metric is each for each in losses):
            found.setdefault(metric.name, metric)
    return found


def _functions_of(module: Any) -> list[Any]:
    return [value for value in vars(module).values() if inspect.isfunction(value)]


def _public_name(thing: Any) -> str:
    """The public name of a function or class, such as keras.losses.huber, or its own name."""
    import keras

    name = getattr(thing, "__name__", type(thing).__name__)
    for module in (keras.losses, keras.metrics):
        if getattr(module, name, None) is thing:
            return f"keras.{module.__name__.rpartition('.')[2]}.{name}"
    return str(name)


def in_floats(logs: Any) -> dict[str, Any]:
    """Logs by name as scalars; of an array, such as a score for each class, each as ``f1[0]``."""
    scalars = {}
    for name, value in logs.items():
        shape = tuple(getattr(value, "shape", ()))
        if math.prod(shape) == 1:
            scalars[name] = value.reshape(()) if hasattr(value, "reshape") else value
        else:
            for place in np.ndindex(shape):
                scalars[name + "".join(f"[{i}]" for i in place)] = value[place]
    return scalars


def describe(model: keras.Model) -> str:
    """The model as Keras serializes it, as text of one line a value; to recognize it by.

    Of one that does not tell what it was made with: its variables.
    """
    import keras

    try:
        told = keras.saving.serialize_keras_object(model)
    except Exception:
        told = [(v.path, list(v.shape), str(v.dtype)) for v in model.variables]
    made_with = [
        config.config if (config := getattr(layer, "_auto_config", None)) is not None else {}
        for layer in model._flatten_layers(include_self=False)
        if type(layer).__module__.partition(".")[0] != "keras"
    ]  # what a layer's own get_config may leave out
    text = "\n".join(f"{path} = {value}" for path, value in sorted(_leaves([told, *made_with], "")))
    return re.sub(r"0x[0-9a-f]+", "", text)  # addresses, in what has no better name


LIBRARIES = {"jax", "jaxlib", "keras", "numpy", "optree", "tensorflow", "torch"}


def parts_of_users(model: keras.Model) -> Iterator[Any]:
    """The model, its layers, their parts and what it is compiled with, of a user's own classes."""
    layers = model._flatten_layers()
    compiled = getattr(model._compile_config, "config", {})
    inner = (vars(layer) for layer in model._flatten_layers())
    for part in (*layers, *_parts([compiled, *inner]), model.optimizer._learning_rate):
        package = type(part).__module__.partition(".")[0]
        if package not in LIBRARIES and package not in sys.stdlib_module_names:
            yield part


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _parts(inner)
    else:
        yield value


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{i}]")
    else:
        yield path, json.dumps(value, default=repr)


def layers_within(value: Any) -> list[keras.Layer]:
    """The layers that a Keras model or layer is made of; none of what is neither."""
    if "keras" not in sys.modules or not isinstance(value, sys.modules["keras"].Layer):
        return []
    return list(value._flatten_layers(include_self=False))


STEPS = ("train_step", "test_step", "compute_metrics", "get_metrics_result")


def add_metric(model: keras.Model, metric: keras.Metric) -> bool:
    """Have a compiled model report one more metric, unweighted, beside those that it was given.

    Parameters
    ----------
    model : keras.Model
        Compiled, with one output.
    metric : keras.Metric

    Returns
    -------
    bool
        False where the model computes its metrics by a method of its own, or was given a dict of
        them: it is left as it was.
    """
    from keras.src.trainers.compile_utils import CompileMetrics
    from keras.src.utils.tracking import DotNotTrackScope

    compiled = model._compile_metrics
    given = getattr(compiled, "_user_metrics", None) or []
    flat = isinstance(given, list | tuple) and not any(isinstance(each, list) for each in given)
    if not flat or not all(_is_of_keras(getattr(type(model), name)) for name in STEPS):
        return False
    weighted = getattr(compiled, "_user_weighted_metrics", None)
    names = getattr(compiled, "output_names", None)
    with DotNotTrackScope():  # or it stays among the model's metrics when another is added
        model._compile_metrics = CompileMetrics([*given, metric], weighted, output_names=names)
    return True


def own_loop(model: keras.Model) -> str:
    """The method around the training step that is not Keras' own: of the model or of its class."""
    for name in NOT_FIT:
        if name in vars(model) or not _is_of_keras(getattr(type(model), name)):
            return name
    return ""


def _is_of_keras(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("keras.")


def let_tensorflow_be() -> None:
    """Stop Keras from importing TensorFlow only to ask whether an object is TensorFlow's."""
    import keras

    lazy: Any = getattr(keras.src.utils.module_utils, "tensorflow", None)
    if "tensorflow" not in sys.modules and hasattr(lazy, "_available"):
        lazy._available = False


KEPT = ("flash_attention", "safe_mode_saving", "use_legacy_config")
"""Settings, beside the dtype policy, that `keras.utils.clear_session` forgets with all names."""


def settings_now() -> dict[str, Any]:
    """Keras' settings: those of its configuration file, and what was set since."""
    import keras

    state = keras.src.backend.common.global_state
    kept = {name: state.get_global_attribute(name) for name in KEPT}
    policy = keras.config.dtype_policy()
    return {
        **kept,
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": policy.name,
        "policy": policy,
    }


def portable_settings() -> dict[str, Any]:
    """Keras' settings in a form that another process can read without importing Keras."""
    import keras

    settings = settings_now()
    return {**settings, "policy": keras.dtype_policies.serialize(settings["policy"])}


def settings_of_another_process(portable: dict[str, Any]) -> dict[str, Any]:
    """The settings that `portable_settings` told of, as `settings_now` gives them."""
    import keras

    return {**portable, "policy": keras.dtype_policies.deserialize(portable["policy"])}


def new_session(settings: dict[str, Any]) -> None:
    """Start the names of layers anew, and restore Keras' settings.

    Parameters
    ----------
    settings : dict
        As `settings_now` gave them.
    """
    import keras

    keras.utils.clear_session(free_memory=False)
    keras.config.set_floatx(settings["floatx"])
    keras.config.set_epsilon(settings["epsilon"])
    keras.config.set_image_data_format(settings["image_data_format"])
    keras.config.set_dtype_policy(settings["policy"])
    keras.config.set_max_epochs(None)  # what limits `fit` alone, for trials of code
    keras.config.set_max_steps_per_epoch(None)
    state = keras.src.backend.common.global_state
    for name in KEPT:
        if settings[name] is not None:
            state.set_global_attribute(name, settings[name])


def let_tensorflow_come_back() -> None:
    """Undo `let_tensorflow_be`: for layers that Keras makes only where it finds TensorFlow."""
    import keras

    lazy: Any = getattr(keras.src.utils.module_utils, "tensorflow", None)
    if hasattr(lazy, "_available"):
        lazy._available = None


OF_SESSION = ("object_name_uids", "global_seed_generator", "global_random_seed")
"""The state that Keras keeps beside its settings: the names given, and global random state."""


@contextlib.contextmanager
def names_and_seeds_apart() -> Iterator[None]:
    """Start the names of layers anew for a while, and restore them afterwards.

    Less than `keras.utils.clear_session` does, which forgets the caller's names, seeds and settings
    for good.
    """
    import keras

    state = keras.src.backend.common.global_state
    before = {name: state.get_global_attribute(name) for name in OF_SESSION}
    for name in OF_SESSION:
        state.set_global_attribute(name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            state.set_global_attribute(name, value)


@contextlib.contextmanager
def seeds_of_noise_apart(seed: int) -> Iterator[None]:
    """Draw the seeds of noise apart from those of initial weights, while a model is built.

    Keras draws both from one stream, and none for a Dropout of rate 0, so that the rate of one
    layer changes the initial weights of those behind it.
    """
    import keras

    module = keras.src.random.seed_generator
    original = module.make_default_seed
    generator = random.Random(seed)
    module.make_default_seed = lambda: generator.randint(1, 10**9)
    try:
        yield
    finally:
        module.make_default_seed = original


class Zero(float):
    """A zero that says it is above zero, and is 0 in every sum and product.

    Keras' layers draw no noise of strength 0: they ask ``rate > 0`` or ``rate == 0``. With this for
    the rate they draw it, and Keras' own arithmetic makes nothing of it: ``x / (1 - 0)`` where the
    random numbers are below ``1 - 0``, which all are.
    """

    def __gt__(self, other: float) -> bool:
        return other == 0 or float(self) > other

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


@contextlib.contextmanager
def noise_of_strength_zero_drawn() -> Iterator[None]:
    """Make layers draw their noise even where its strength is 0, while they are constructed.

    A model of rate 0 then has the operations of one with another rate. It concerns the classes of
    `keras.layers` that take a seed, wherever they are made: in nested models, in other layers.
    """
    originals = [(kind, vars(kind)["__init__"]) for kind in noisy_layers()]
    for kind, original in originals:
        setattr(kind, "__init__", _drawing(original))  # noqa: B010  which mypy calls unsound
    try:
        yield
    finally:
        for kind, original in originals:
            setattr(kind, "__init__", original)  # noqa: B010


@functools.cache
def noisy_layers() -> tuple[Any, ...]:
    """The classes of `keras.layers` whose constructor takes a seed."""
    import keras

    kinds = dict.fromkeys(kind for kind in vars(keras.layers).values() if isinstance(kind, type))
    return tuple(
        kind
        for kind in kinds
        if "__init__" in vars(kind)
        and "seed" in inspect.signature(vars(kind)["__init__"]).parameters
    )


@functools.cache
def _drawing(init: Any) -> Any:
    """A constructor that takes each strength of zero among its arguments for one that is drawn."""
    signature = inspect.signature(init)
    strengths = {  # neither seeds, whose default is None, nor sizes and axes, whole numbers
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty or isinstance(parameter.default, float)
    }

    @functools.wraps(init)
    def drawing(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs)
        for name, value in given.arguments.items():
            if name in strengths and type(value) in (int, float) and value == 0:
                given.arguments[name] = Zero(0.0)
        init(*given.args, **given.kwargs)

    drawing.__signature__ = signature  # type: ignore[attr-defined]  # which Keras reads
    return drawing
