"""The engine `fit`: one configuration through Keras' own fit."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tuning.compatibility.keras import (
    build_state,
    build_with_loss,
    fixed_rows,
    in_floats,
    own_loop,
)
from tuning.engines.batches import Orders, Split, in_floatx
from tuning.engines.foreign import reason
from tuning.engines.memory import forget_models
from tuning.engines.models import compiled_model
from tuning.engines.nudge import nudged
from tuning.engines.scores import divergence, score_metrics, shortest_float32
from tuning.engines.weights import Weights, weights_of
from tuning.problem.data import Data, map_arrays, splits_of
from tuning.problem.problem import Problem
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
