"""The engine `fit`: one configuration through Keras' own fit."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from tuning.compatibility.keras import (
    build_state,
    build_with_loss,
    fixed_rows,
    in_floats,
    own_loop,
)
from tuning.engines.batches import Orders, Split, in_floatx
from tuning.engines.callbacks import (
    append_to_files,
    is_packed,
    made_callbacks,
    restored_epoch,
    sees_batches,
    set_state,
    state_of,
    with_own_paths,
)
from tuning.engines.foreign import reason
from tuning.engines.memory import forget_models
from tuning.engines.models import compiled_model
from tuning.engines.nudge import nudged
from tuning.engines.row_weights import weighted
from tuning.engines.scores import divergence, score_metrics, shortest_float32
from tuning.engines.weights import Weights, values_of, weights_of
from tuning.problem.data import Data, map_arrays, splits_of
from tuning.problem.folds import rows_of
from tuning.problem.problem import Problem
from tuning.trial import Outcome, Paused, Status, Trial, now

if TYPE_CHECKING:
    import keras
    import numpy as np

    from tuning.engines.keeping import Keeper

ENGINE = "fit"
TIMED_STEPS = 5
STEPS_A_CALL = 20  # TensorFlow: batches trained before returning to Python


@dataclass(frozen=True)
class Fitted:
    """What came of a call of Keras' `fit`.

    Attributes
    ----------
    outcome : Outcome
    epoch_seconds : list of float
        Of the epochs that it trained.
    paused : Paused or None
        The state that it ended with; None unless it is asked for, it ended well, and it can go on.
    """

    outcome: Outcome
    epoch_seconds: list[float] = field(default_factory=list)
    paused: Paused | None = None


def fit_on(
    problem: Problem,
    data: Data,
    trial: Trial,
    why: str = "",
    *,
    nudge: bool = False,
    keeper: Keeper | None = None,
    paused: Paused | None = None,
    pauses: bool = False,
    deadline: float = math.inf,
    folder: str = "",
) -> Fitted:
    """Build the configuration's model, train it with Keras' `fit` or go on with it, and score it.

    Initial weights and dropout follow `keras.utils.set_random_seed`, and the order of the rows in
    an epoch is a permutation keyed by (seed, epoch): the outcome depends on the problem, the
    configuration and the seed alone. Whatever it raises becomes an outcome with status ``failed``.

    A training goes on from a state that the same configuration left with the same backend, where
    Keras' own `fit` trains the model; else it begins anew.

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
    paused : Paused, optional
        The state of an earlier training to go on from.
    pauses : bool
        Whether to return the state that it ends with.
    deadline : float
        In seconds of `time.perf_counter`: training stops at the end of the epoch that it falls in.
    folder : str
        The run's directory, for files that callbacks write.
    """
    import keras

    started = time.perf_counter()
    outcome = Outcome(
        trial, "stopped", f"{ENGINE}: {why}" if why else ENGINE, keras.backend.backend()
    )
    if started >= deadline:
        return Fitted(outcome)
    training = _Training(
        problem, data, trial, nudge=nudge, pauses=pauses, deadline=deadline, folder=folder
    )
    trained: Weights | None = None
    try:
        training.run(paused)
        status, metrics = training.scored(outcome.status)
        if status == "ok" and keeper is not None and keeper.wants(trial):
            trained = weights_of(training.model)
        outcome = replace(outcome, status=status, metrics=metrics, error=training.error)
    except Exception as exception:
        outcome = replace(outcome, status="failed", error=reason(exception))
    outcome = replace(
        outcome,
        curve=training.curve,
        epoch_seconds=training.epoch_seconds,
        seconds=time.perf_counter() - started,
        finished_at=now(),
    )
    left = training.left if outcome.status in ("ok", "stopped") else None
    new = training.epoch_seconds[training.start :]
    del training
    forget_models()
    if keeper is not None and trained is not None:
        keeper.offer(outcome, lambda: trained)
    return Fitted(outcome, new, left)


class _Training:
    """One call of Keras' `fit`, and what came of it.

    Attributes
    ----------
    model : keras.Model
    curve, epoch_seconds : list
        As in `Outcome`, those of the earlier training included.
    error : str
        Why it diverged, if it did.
    start : int
        The epochs of the earlier training.
    """

    def __init__(
        self,
        problem: Problem,
        data: Data,
        trial: Trial,
        *,
        nudge: bool,
        pauses: bool,
        deadline: float,
        folder: str,
    ) -> None:
        self.model: Any = None
        self.curve: list[dict[str, float]] = []
        self.epoch_seconds: list[float] = []
        self.error = ""
        self.start = 0
        self._problem, self._trial, self._nudge = problem, trial, nudge
        self._data, self._test = data, cast(Any, None)
        self._pauses, self._deadline, self._folder = pauses, deadline, folder
        self._callbacks: list[Any] = []
        self._resumed = self._state = b""
        self._ended = False
        self._variables: list[np.ndarray] | None = None
        self._cut = False

    def run(self, paused: Paused | None) -> None:
        """Build the model and train it, from a state if it is one of this training."""
        import keras

        trial, problem = self._trial, self._problem
        self._data = weighted(problem, self._data, trial.configuration, trial.fold)
        self.model = model = compiled_model(problem, trial.configuration, trial.seed)
        self._callbacks = made_callbacks(problem, trial.configuration)
        with_own_paths(self._callbacks, self._folder, trial)
        by_batch = any(map(sees_batches, self._callbacks))
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if on_tensorflow and model.steps_per_execution == 1 and not by_batch:
            model.steps_per_execution = STEPS_A_CALL  # the same steps, 1.3 to 1.6 times as fast
        splits = {
            split: Split(self._data[split], rows_of(self._data, split, trial.fold))
            for split in splits_of(self._data)
        }
        self._test = splits.get("test")
        train, validation = splits["train"], splits["validation"]
        if paused is not None and not self._goes_on_from(paused):
            paused = None
        if paused is not None:
            self._set_state(paused)
        elif self._nudge:
            self._move_weights()
        self.start = start = len(self.curve)
        if paused is not None and paused.ended is not None:
            self._end_again(paused)
            return
        orders = Orders(trial.seed, train.n_rows, start)
        history = model.fit(
            train.batches(trial.batch_size, orders),
            validation_data=validation.batches(trial.batch_size),
            epochs=trial.epochs,
            shuffle=False,
            verbose=0,
            **self._while_training(start),
        ).history
        ends = [*orders.begun, time.perf_counter()]
        self.epoch_seconds += [b - a for a, b in pairwise(ends)]
        for epoch in range(len(history["loss"])):
            logs = in_floats({name: values[epoch] for name, values in history.items()})
            self.curve.append({name: shortest_float32(value) for name, value in logs.items()})
            if error := divergence(self.curve[-1], start + epoch + 1):
                self.error = error
                break

    def scored(self, stopped: Status) -> tuple[Status, dict[str, float]]:
        """How it ended, and its metrics."""
        trial = self._trial
        if self.error:
            return "diverged", {}
        if not self._ended and (self._cut or trial.epochs < trial.meant):
            return stopped, score_metrics(self.curve[-1], {})
        tested = evaluated(self.model, self._test.batches(trial.batch_size)) if self._test else {}
        best = restored_epoch(self._callbacks)
        return "ok", score_metrics(self.curve[-1 if best is None else best], tested)

    @property
    def left(self) -> Paused | None:
        """The state that it ended with, if it was asked for."""
        if self._variables is None:
            return None
        return Paused(
            len(self.curve),
            self._variables,
            self.curve,
            self.epoch_seconds,
            self._origin,
            self._state,
            {} if self._ended else None,
        )

    @property
    def _origin(self) -> str:
        """What a state can go on with: Keras' `fit` on this backend, of this configuration."""
        import keras

        moved = "nudged" if self._nudge else ""
        return (
            f"{ENGINE} {keras.backend.backend()} {self._trial.point} {self._trial.seed} "
            f"{self._trial.fold} {moved}"
        )

    def _goes_on_from(self, paused: Paused) -> bool:
        """Whether a state is one that this training passes through."""
        early = paused.epochs < self._trial.epochs + (paused.ended is not None)
        return early and paused.origin == self._origin and not own_loop(self.model)

    def _set_state(self, paused: Paused) -> None:
        """Go back to where a training was paused."""
        self._build()
        variables = _variables(self.model)
        for variable, value in zip(variables, paused.variables, strict=True):
            variable.assign(value)
        self.curve, self.epoch_seconds = list(paused.curve), list(paused.epoch_seconds)
        self._resumed = paused.callbacks

    def _end_again(self, paused: Paused) -> None:
        """Leave the model as the training left it that a callback had ended."""
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        self._ended = True
        set_state(self._callbacks, self._resumed)
        for each in self._callbacks:
            each.set_model(self.model)
            each.on_train_end({})
        if self._pauses:
            self._variables, self._state = paused.variables, paused.callbacks

    def _move_weights(self) -> None:
        """Move the initial weights by a rounding error."""
        self._build()
        weights = self.model.trainable_variables
        for weight, moved in zip(weights, nudged([w.numpy() for w in weights]), strict=True):
            weight.assign(moved)

    def _build(self) -> None:
        rows = self._trial.batch_size
        batch = map_arrays(lambda array: in_floatx(array[:rows]), self._data["train"])
        build_with_loss(self.model, batch)
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)

    def _while_training(self, start: int) -> dict[str, Any]:
        """The arguments that end `fit` early, and copy the state before `fit` finishes it.

        It ends with the epoch in which the loss became NaN or infinite, or time was over. Only the
        user's callbacks for a model with a `fit` of its own, which may give callbacks of its own.
        """
        import keras

        last, training = self._trial.epochs - 1, self

        class Ends(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
                if training._resumed:
                    set_state(training._callbacks, training._resumed)

            def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
                scalars = {name: shortest_float32(v) for name, v in in_floats(logs or {}).items()}
                late = time.perf_counter() >= training._deadline
                ended = bool(self.model.stop_training)  # by a callback of the user's
                if divergence(scalars, epoch + 1) or late:
                    self.model.stop_training = True
                training._ended, training._cut = ended, late and epoch < last and not ended
                if training._pauses and (late or ended or epoch == last):
                    training._note_state()

        own = self._callbacks
        if own_loop(self.model):
            return {"callbacks": own} if own else {}
        if self._resumed:
            append_to_files(own)
        return {"callbacks": [*own, Ends()], "initial_epoch": start}

    def _note_state(self) -> None:
        """Copy the state, unless callbacks have one that nobody knows."""
        if all(map(is_packed, self._callbacks)):
            self._variables = values_of(_variables(self.model))
            self._state = state_of(self._callbacks) if self._callbacks else b""


def _variables(model: keras.Model) -> list[Any]:
    """A model's variables in the order of `Paused`."""
    others = (*model.non_trainable_variables, *model.optimizer.variables)
    return [*model.trainable_variables, *others]


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
        results = evaluated(model, Split(batch).batches(rows))
    return sorted(results, key=lambda name: name != "loss")


def evaluated(model: keras.Model, batches: Any) -> dict[str, float]:
    """A model's scores of some batches, as in a trial's metrics."""
    scores = in_floats(model.evaluate(batches, verbose=0, return_dict=True))
    return {name: shortest_float32(value) for name, value in scores.items()}
