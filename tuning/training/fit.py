"""The engine `fit`: one configuration through Keras' own fit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tuning.compatibility.keras import (
    build_state,
    build_with_loss,
    fixed_rows,
    in_floats,
    noise_of_strength_zero_drawn,
    seeds_of_noise_apart,
)
from tuning.data import SPLITS, Data, map_arrays
from tuning.errors import TuningError
from tuning.grid import Configuration
from tuning.problem import Problem, batch_size, epochs
from tuning.training.batches import Split, in_floatx, row_order
from tuning.training.foreign import reason, step_for_another
from tuning.training.memory import forget_models
from tuning.training.outcome import Outcome, Status, divergence, shortest_float32

if TYPE_CHECKING:
    import keras

ENGINE = "fit"
EVALUATION_BATCH = 256
TIMED_STEPS = 5
STEPS_A_CALL = 20  # TensorFlow: batches trained before returning to Python


def fit(problem: Problem, data: Data, trial: int, seed: int, why: str = "") -> Outcome:
    """Build the configuration's model, train it with Keras' `fit`, and score it.

    Initial weights and dropout follow `keras.utils.set_random_seed`, and the order of the rows in
    an epoch is a permutation keyed by (seed, epoch): the outcome depends on the problem, the
    configuration and the seed alone. Whatever it raises becomes an outcome with status ``failed``.

    Parameters
    ----------
    problem : Problem
    data : dict
        As `problem.load_data` returned it, checked.
    trial : int
        Grid index of the configuration.
    seed : int
    why : str
        Why it is not trained in a pack, where it might have been.
    """
    import keras

    backend = keras.backend.backend()
    started = time.perf_counter()
    status: Status = "ok"
    error = ""
    curve: list[dict[str, float]] = []
    epoch_seconds: list[float] = []
    metrics: dict[str, float] = {}
    try:
        configuration = problem.grid[trial]
        model = compiled_model(problem, configuration, seed)
        if backend == "tensorflow" and model.steps_per_execution == 1:
            model.steps_per_execution = STEPS_A_CALL  # the same steps, 1.3 to 1.6 times as fast
        scored = fixed_rows(model) or EVALUATION_BATCH
        train, validation, test = (Split(data[split]) for split in SPLITS)
        for epoch in range(epochs(configuration)):
            epoch_started = time.perf_counter()
            order = row_order(seed, epoch, train.n_rows)
            history = model.fit(
                train.batches(batch_size(configuration), order),
                validation_data=validation.batches(scored),
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                verbose=0,
            ).history
            logs = in_floats({name: values[-1] for name, values in history.items()})
            curve.append({name: shortest_float32(value) for name, value in logs.items()})
            epoch_seconds.append(time.perf_counter() - epoch_started)
            if error := divergence(curve[-1], epoch + 1):
                status = "diverged"
                break
        if status == "ok":
            metrics = score_metrics(curve[-1], _evaluate(model, test.batches(scored)))
    except Exception as exception:
        status, error, metrics = "failed", reason(exception), {}
    seconds = time.perf_counter() - started
    forget_models()
    return Outcome(
        trial,
        seed,
        status,
        f"{ENGINE}: {why}" if why else ENGINE,
        backend,
        metrics,
        curve,
        seconds,
        epoch_seconds,
        error,
    )


def compiled_model(
    problem: Problem, configuration: Configuration, seed: int, drawn: bool = False
) -> keras.Model:
    """The configuration's model as the problem builds it, its random state set by the seed.

    Names begin anew, and initial weights do not depend on dropout rates: what is the same in two
    configurations is the same in their models. Models built before are of no further use to Keras'
    bookkeeping, though they stay usable.

    Parameters
    ----------
    problem : Problem
    configuration : dict
    seed : int
    drawn : bool
        Whether layers draw noise of strength 0 too, which changes no number: for packs, where
        others of another strength have the same operations.

    Raises
    ------
    TuningError
        If what `build_model` returns is not a Keras model, or not compiled.
    """
    import keras

    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    drawing = noise_of_strength_zero_drawn() if drawn else contextlib.nullcontext()
    with seeds_of_noise_apart(seed), drawing, _compiled_fast():
        model = problem.build_model(configuration)
    where = f"build_model of problem {problem.name!r}"
    if not isinstance(model, keras.Model):
        raise TuningError(f"{where} has to return a Keras model, not {type(model).__name__}")
    if not model.compiled or model.loss is None:
        raise TuningError(f"{where} has to return a compiled model: call model.compile(loss=…)")
    if fault := step_for_another(model):
        raise TuningError(fault)
    return model


@contextlib.contextmanager
def _compiled_fast() -> Iterator[None]:
    """Have JAX not optimize what it compiles meanwhile: initial weights are drawn once.

    It took 0.3 s for every shape of a kernel to compile their drawing.
    """
    import keras

    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    option = "jax_disable_most_optimizations"
    before = jax.config.read(option)
    jax.config.update(option, True)
    try:
        yield
    finally:
        jax.config.update(option, before)


def seconds_a_step(model: keras.Model, batch: tuple[Any, ...]) -> float:
    """The wall time of a training step on JAX as `fit` compiles it, the least of a few.

    Parameters
    ----------
    model : keras.Model
    batch : tuple of arrays
        x, y and any sample weights.
    """
    import jax

    build_state(model, batch)
    kinds = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state: Any = tuple([variable.value for variable in kind] for kind in kinds)
    step = jax.jit(model.train_step)
    seconds = []
    for _ in range(TIMED_STEPS + 1):
        started = time.perf_counter()
        _, state = jax.block_until_ready(step(state, batch))
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def score_names(model: keras.Model, data: Data) -> list[str]:
    """The names of what the model reports, loss first, found without computing anything."""
    rows = fixed_rows(model) or 2
    batch = map_arrays(lambda array: in_floatx(array[:rows]), data["train"])
    try:
        build_with_loss(model, batch)
        results = in_floats(model.get_metrics_result())
    except Exception:  # of models that cannot be built without numbers
        results = _evaluate(model, Split(batch).batches(rows))
    return sorted(results, key=lambda name: name != "loss")


def _evaluate(model: keras.Model, batches: Any) -> dict[str, float]:
    scores = in_floats(model.evaluate(batches, verbose=0, return_dict=True))
    return {name: shortest_float32(value) for name, value in scores.items()}


def score_metrics(last_epoch: dict[str, float], test: dict[str, float]) -> dict[str, float]:
    """A trial's metrics: the logs of its last epoch, and its scores on the test data."""
    metrics = {f"test_{name}": value for name, value in test.items()}
    for name, value in last_epoch.items():
        metrics[name if name.startswith("val_") else f"train_{name}"] = value
    return metrics
