"""The engine `fit`: one configuration through Keras' own fit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tuning.compatibility.keras import (
    build_state,
    build_with_loss,
    fixed_rows,
    in_floats,
    new_session,
    noise_of_strength_zero_drawn,
    own_loop,
    seeds_of_noise_apart,
)
from tuning.engines.batches import Orders, Split, in_floatx
from tuning.engines.foreign import reason, step_for_another
from tuning.engines.memory import forget_models
from tuning.engines.nudge import nudged
from tuning.engines.scores import divergence, score_metrics, shortest_float32
from tuning.engines.weights import Weights, weights_of
from tuning.errors import TuningError, first_line
from tuning.problem.data import Data, map_arrays, splits_of
from tuning.problem.environment import settings_of
from tuning.problem.problem import Problem
from tuning.space.grid import Configuration
from tuning.trial import Outcome, Status, Trial

if TYPE_CHECKING:
    import keras

    from tuning.engines.keeping import Keeper

ENGINE = "fit"
TIMED_STEPS = 5
STEPS_A_CALL = 20  # TensorFlow: batches trained before returning to Python


def fit(
    problem: Problem,
    data: Data,
    trial: Trial,
    why: str = "",
    *,
    nudge: bool = False,
    keeper: Keeper | None = None,
) -> Outcome:
    """Build the configuration's model, train it with Keras' `fit`, and score it.

    Initial weights and dropout follow `keras.utils.set_random_seed`, and the order of the rows in
    an epoch is a permutation keyed by (seed, epoch): the outcome depends on the problem, the
    configuration and the seed alone. Whatever it raises becomes an outcome with status ``failed``.

    Parameters
    ----------
    problem : Problem
    data : dict
        As `problem.load_data` returned it, checked.
    trial : Trial
    why : str
        Why it is not trained in a pack, where it might have been.
    nudge : bool
        Whether to begin with weights moved by a rounding error: see `tuning.engines.nudge`.
    keeper : Keeper, optional
        Holds the weights of the best.
    """
    import keras

    backend = keras.backend.backend()
    started = time.perf_counter()
    status: Status = "ok"
    error = ""
    curve: list[dict[str, float]] = []
    epoch_seconds: list[float] = []
    metrics: dict[str, float] = {}
    trained: Weights | None = None
    try:
        model = compiled_model(problem, trial.configuration, trial.seed)
        if backend == "tensorflow" and model.steps_per_execution == 1:
            model.steps_per_execution = STEPS_A_CALL  # the same steps, 1.3 to 1.6 times as fast
        splits = {split: Split(data[split]) for split in splits_of(data)}
        train, validation = splits["train"], splits["validation"]
        rows = trial.batch_size
        if nudge:
            build_with_loss(model, map_arrays(lambda array: in_floatx(array[:rows]), data["train"]))
            weights = model.trainable_variables
            for weight, moved in zip(weights, nudged([w.numpy() for w in weights]), strict=True):
                weight.assign(moved)
        orders = Orders(trial.seed, train.n_rows)
        history = model.fit(
            train.batches(rows, orders),
            validation_data=validation.batches(rows),
            epochs=trial.epochs,
            shuffle=False,
            verbose=0,
            **_ends_at_nan(model),
        ).history
        epoch_seconds = [b - a for a, b in pairwise([*orders.begun, time.perf_counter()])]
        for epoch in range(len(history["loss"])):
            logs = in_floats({name: values[epoch] for name, values in history.items()})
            curve.append({name: shortest_float32(value) for name, value in logs.items()})
            if error := divergence(curve[-1], epoch + 1):
                status = "diverged"
                break
        if status == "ok":
            if keeper is not None and keeper.wants(trial):
                trained = weights_of(model)
            test = splits.get("test")
            tested = evaluated(model, test.batches(rows)) if test else {}
            metrics = score_metrics(curve[-1], tested)
    except Exception as exception:
        status, error, metrics = "failed", reason(exception), {}
    seconds = time.perf_counter() - started
    forget_models()
    outcome = Outcome(
        trial,
        status,
        f"{ENGINE}: {why}" if why else ENGINE,
        backend,
        metrics,
        curve,
        seconds,
        epoch_seconds,
        error,
    )
    if keeper is not None and trained is not None:
        keeper.offer(outcome, lambda: trained)
    return outcome


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
        If `build_model` exits, or what it returns is not a Keras model, or not compiled.
    """
    new_session(settings_of(problem))
    where = f"build_model of problem {problem.name!r}"
    return model_of(problem.build_model, configuration, seed, where, drawn)


def model_of(
    build_model: Callable[[Configuration], keras.Model],
    configuration: Configuration,
    seed: int,
    where: str,
    drawn: bool = False,
) -> keras.Model:
    """The compiled model that a function builds, as `compiled_model` does, in this Keras session.

    Parameters
    ----------
    where : str
        What errors call the function.
    """
    import keras

    keras.utils.set_random_seed(seed)
    drawing = noise_of_strength_zero_drawn() if drawn else contextlib.nullcontext()
    with seeds_of_noise_apart(seed), drawing, compiled_fast():
        try:
            model = build_model(configuration)
        except SystemExit as error:  # or it would end the worker
            raise TuningError(f"{where} exits: {first_line(error)}") from error
    if not isinstance(model, keras.Model):
        raise TuningError(f"{where} has to return a Keras model, not {type(model).__name__}")
    if not model.compiled or model.loss is None:
        raise TuningError(f"{where} has to return a compiled model: call model.compile(loss=…)")
    if fault := step_for_another(model):
        raise TuningError(fault)
    return model


@contextlib.contextmanager
def compiled_fast() -> Iterator[None]:
    """Turn off JAX's optimizations for a while, for functions that run only once.

    It took 0.3 s for every shape of a kernel to compile how initial weights are drawn.
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


def _ends_at_nan(model: keras.Model) -> dict[str, Any]:
    """The arguments that end `fit` with the epoch in which the loss became NaN or infinite.

    Nothing for a model with a `fit` of its own, which may give callbacks of its own.
    """
    import keras

    class EndsAtNaN(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            scalars = {name: shortest_float32(v) for name, v in in_floats(logs or {}).items()}
            if divergence(scalars, epoch + 1):
                self.model.stop_training = True

    return {} if own_loop(model) else {"callbacks": [EndsAtNaN()]}


def score_names(model: keras.Model, data: Data) -> list[str]:
    """The names of what the model reports, loss first, found without computing anything."""
    rows = fixed_rows(model) or 2
    batch = map_arrays(lambda array: in_floatx(array[:rows]), data["train"])
    try:
        build_with_loss(model, batch)
        results = in_floats(model.get_metrics_result())
    except Exception:  # of models that cannot be built without numbers
        results = evaluated(model, Split(batch).batches(rows))
    return sorted(results, key=lambda name: name != "loss")


def evaluated(model: keras.Model, batches: Any) -> dict[str, float]:
    """A model's scores of some batches, as in a trial's metrics."""
    scores = in_floats(model.evaluate(batches, verbose=0, return_dict=True))
    return {name: shortest_float32(value) for name, value in scores.items()}
