"""Keras callbacks of a training: made for it alone, and followed in a pack by their own code.

In a pack nothing of a callback is written again: each member has its own set of Keras' objects,
whose hooks are called with Keras' logs in Keras' order. What they take for the model is a stand-in,
which reads and sets the member's variables where the pack has them. That is done for Keras' own
callbacks that look at a training between its epochs alone; a training with any other goes through
`fit`.
"""

from __future__ import annotations

import copy
import hashlib
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.compatibility.keras import metrics_list
from tuning.engines.foreign import reason
from tuning.packing.trace import Unproven
from tuning.problem.problem import Problem, copies_of
from tuning.space.recorded import Recorded
from tuning.trial import Trial, point_of

if TYPE_CHECKING:
    import keras

PACKED = (
    "EarlyStopping",
    "ReduceLROnPlateau",
    "LearningRateScheduler",
    "TerminateOnNaN",
    "ModelCheckpoint",
    "CSVLogger",
)
"""Keras' callbacks that packs follow; a subclass is another."""
OF_RATES = ("ReduceLROnPlateau", "LearningRateScheduler")
PATHS = ("filepath", "filename", "log_dir", "backup_dir")  # attributes of Keras' callbacks
BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
NOT_STATE = {"_model", "_params", "params", "schedule", "csv_file", "writer", "append"}
NOT_STATE |= {"append_header", "filepath", "filename"}
FOLDER = "callbacks"


def made_callbacks(problem: Problem, configuration: Mapping[str, Any]) -> list[Any]:
    """The callbacks of one training of a configuration, which no other training has.

    Parameters
    ----------
    problem : Problem
        Whose `callbacks` are a list, of which copies are made, or a function of the configuration.
    configuration : dict

    Raises
    ------
    TypeError
        If the function returns something else than a list of Keras callbacks.
    Exception
        What the function raised.
    """
    import keras

    given = problem.callbacks
    if given is None:
        return []
    values = problem.space.values(configuration)
    kept = sys.getrefcount(values)
    found = given(values) if callable(given) else copies_of(given)
    if isinstance(values, Recorded) and sys.getrefcount(values) > kept:
        values.read.update(dict.keys(values))  # a callback may read any of them later
    if not isinstance(found, list | tuple):
        kind = type(found).__name__
        raise TypeError(f"callbacks(config) has to return a list of Keras callbacks, not {kind}")
    for each in found:
        if not isinstance(each, keras.callbacks.Callback):
            kind = type(each).__name__
            raise TypeError(f"callbacks(config) returned one of type {kind} among Keras callbacks")
    return list(found)


def axes_read(problem: Problem, configuration: Mapping[str, Any]) -> Set[str]:
    """The axes that the callbacks of a configuration read.

    Raises
    ------
    Exception
        As `made_callbacks`.
    """
    recorded = Recorded(problem.space.values(configuration))
    made_callbacks(problem, recorded)
    return recorded.read


def refuse_unpacked(callbacks: Sequence[Any], settable: bool) -> None:
    """Refuse callbacks that packs do not follow.

    Parameters
    ----------
    callbacks : sequence of keras.callbacks.Callback
    settable : bool
        Whether the optimizer's learning rate is a variable, and not a schedule.

    Raises
    ------
    Unproven
        Which names the callback.
    """
    for each in callbacks:
        name = type(each).__name__
        if not is_packed(each):
            raise Unproven(f"its callback {name} may look at every batch or at the model itself")
        if name in OF_RATES and not settable:
            raise Unproven(f"its callback {name} sets a learning rate that is no single variable")


def is_packed(callback: Any) -> bool:
    """Whether packs follow a callback: Keras' own, which does all between epochs."""
    import keras

    kind = type(callback)
    own = kind.__name__ in PACKED and kind is getattr(keras.callbacks, kind.__name__)
    by_batch = getattr(callback, "save_freq", "epoch") != "epoch"
    return own and not by_batch and not getattr(callback, "raise_error", False)


def sets_rates(callbacks: Sequence[Any]) -> bool:
    """Whether callbacks may set the learning rate."""
    return any(type(each).__name__ in OF_RATES for each in callbacks)


def sees_batches(callback: Any) -> bool:
    """Whether a callback has hooks that are called at each batch."""
    import keras

    if is_packed(callback) and type(callback).__name__ == "ModelCheckpoint":
        return False
    for name in BATCH_HOOKS:
        hook = getattr(callback, name)
        if getattr(hook, "__func__", hook) is not getattr(keras.callbacks.Callback, name):
            return True
    return False


def described(callbacks: Sequence[Any]) -> tuple[Any, ...]:
    """What callbacks have in common that do the same; of objects and functions their identity."""

    def text(value: Any) -> Any:
        plain = isinstance(value, bool | int | float | str | type(None))
        return (type(value), value) if plain else id(value)

    return tuple(
        (type(each), tuple((name, text(value)) for name, value in sorted(vars(each).items())))
        for each in callbacks
    )


def folder_of(trial: Trial) -> str:
    """The folder of a trial's files: its seed, its number, a digest of its configuration."""
    digest = hashlib.sha256(point_of(trial.configuration).encode()).hexdigest()[:6]
    fold = "" if trial.fold is None else f"-fold{trial.fold}"
    return f"{trial.seed}-{trial.number}-{digest}{fold}"


def with_own_paths(callbacks: Sequence[Any], run: str, trial: Trial) -> None:
    """Turn relative paths of Keras' callbacks into those of a trial's own folder.

    Parameters
    ----------
    callbacks : sequence of keras.callbacks.Callback
    run : str
        The run's directory; where it is not on this machine, the working directory is taken.
    trial : Trial
    """
    for each in callbacks:
        for name in PATHS:
            path = getattr(each, name, None)
            if isinstance(path, str) and path and not Path(path).is_absolute():
                root = Path(run) if run and Path(run).is_dir() else Path()
                own = str(root.absolute() / FOLDER / folder_of(trial) / path)
                _move(each, path, own)
                if name == "filename":
                    Path(own).parent.mkdir(parents=True, exist_ok=True)


def _move(callback: Any, old: str, new: str) -> None:
    """Have a callback's attributes that begin with a path begin with another."""
    for name, value in vars(callback).items():
        if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
            setattr(callback, name, new + value[len(old) :])


def restored_epoch(callbacks: Sequence[Any]) -> int | None:
    """The epoch, from 0, whose weights `EarlyStopping` has restored; None if it has not."""
    import keras

    found = None
    for each in callbacks:
        stopping = isinstance(each, keras.callbacks.EarlyStopping)
        if stopping and each.restore_best_weights and each.best_weights is not None:
            found = int(each.best_epoch)
    return found


def state_of(callbacks: Sequence[Any]) -> bytes:
    """The state of callbacks that packs follow, without what they were made with."""
    return pickle.dumps(
        [{name: v for name, v in vars(each).items() if name not in NOT_STATE} for each in callbacks]
    )


def set_state(callbacks: Sequence[Any], state: bytes) -> None:
    """Put callbacks, after their `on_train_begin`, where others of the same training were."""
    for each, values in zip(callbacks, pickle.loads(state), strict=True):
        vars(each).update(values)


def append_to_files(callbacks: Sequence[Any]) -> None:
    """Have `CSVLogger` go on with the file that there is."""
    for each in callbacks:
        if hasattr(each, "csv_file"):
            each.append = True


@dataclass(frozen=True)
class Ending:
    """What a training that ends leaves.

    Attributes
    ----------
    epoch : int, optional
        The epoch, from 0, whose weights were restored; None if they are those of the last.
    weights : list of array, optional
        The variables of that epoch.
    """

    epoch: int | None = None
    weights: list[np.ndarray] | None = None


@dataclass(frozen=True)
class Variables:
    """How a stand-in reaches the variables of its member in a pack.

    Attributes
    ----------
    get : callable
        Copies the trainable, non-trainable and optimizer's variables.
    rate : callable
        Returns the learning rate.
    set_rate : callable
        Sets it.
    model : callable
        Builds a compiled model, with the variables of the member, to be saved.
    """

    get: Callable[[], list[np.ndarray]]
    rate: Callable[[], Any]
    set_rate: Callable[[float], None]
    model: Callable[[], keras.Model]


class _Optimizer:
    """The optimizer of a stand-in."""

    def __init__(self, model: StandIn) -> None:
        self._model = model

    @property
    def learning_rate(self) -> Any:
        return self._model.variables_now.rate()

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._model.variables_now.set_rate(float(value))


class StandIn:
    """What the callbacks of a member take for its model.

    Parameters
    ----------
    directions : mapping of str to str or None
        As `tuning.compatibility.keras.directions` returns it.

    Attributes
    ----------
    stop_training : bool
    optimizer, metrics
        As far as Keras' callbacks look at them.
    restored : list of array, optional
        The weights that were set.
    """

    def __init__(self, directions: Mapping[str, str | None]) -> None:
        self.stop_training = False
        self.optimizer = _Optimizer(self)
        self.metrics = [metrics_list([SimpleNamespace(**_named(*d)) for d in directions.items()])]
        self.restored: list[np.ndarray] | None = None
        self.variables_now: Any = None

    def get_weights(self) -> list[np.ndarray]:
        """A copy of the member's variables."""
        return self.variables_now.get()  # type: ignore[no-any-return]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Note the weights that the training leaves."""
        self.restored = weights

    def save(self, path: str, **options: Any) -> None:
        """Save a model with the member's variables."""
        self.variables_now.model().save(path, **options)

    def save_weights(self, path: str, **options: Any) -> None:
        """Save the member's weights."""
        self.variables_now.model().save_weights(path, **options)


def _named(name: str, direction: str | None) -> dict[str, str]:
    return {"name": name} if direction is None else {"name": name, "_direction": direction}


@dataclass
class Following:
    """The callbacks of a member of a pack, in the course of its training.

    Attributes
    ----------
    callbacks : list of keras.callbacks.Callback
        Of this training alone.
    model : StandIn
    ended : bool
        Whether one of them has ended the training.
    steps : int
        Batches of an epoch.
    error : str
        What one of them raised, as one line.
    """

    callbacks: list[Any]
    model: StandIn
    steps: int = 0
    ended: bool = False
    error: str = ""

    def begin(self, epochs: int, steps: int, state: bytes = b"") -> None:
        """Training begins, or goes on from a state.

        Parameters
        ----------
        epochs : int
            That it is trained at most.
        steps : int
            Batches of an epoch.
        state : bytes
            As `state_of` returned it.
        """
        self.steps = steps
        if state:
            append_to_files(self.callbacks)
        for each in self.callbacks:
            each.set_model(self.model)
            each.set_params({"verbose": 0, "epochs": epochs, "steps": steps})
        self._call("on_train_begin", {})
        if state:
            set_state(self.callbacks, state)

    def epoch_begins(self, epoch: int, variables: Variables) -> None:
        """An epoch begins, counted from 0."""
        self.model.variables_now = variables
        self._call("on_epoch_begin", epoch, {})

    def epoch_ends(
        self, epoch: int, logs: dict[str, float], variables: Variables
    ) -> dict[str, float]:
        """An epoch ends.

        Returns
        -------
        dict of str to float
            The logs, with what callbacks have added.
        """
        self.model.variables_now = variables
        logs = dict(logs)
        trained = {name: value for name, value in logs.items() if not name.startswith("val_")}
        self._call("on_train_batch_end", self.steps - 1, trained)
        self._call("on_epoch_end", epoch, logs)
        self.ended |= self.model.stop_training
        return logs

    def _call(self, hook: str, *what: Any) -> None:
        """Call a hook of all callbacks; what one raises fails this training alone."""
        try:
            for each in () if self.error else self.callbacks:
                getattr(each, hook)(*what)
        except Exception as error:  # of any type, as in the user's schedules
            self.error, self.ended = reason(error), True

    def ending(self) -> Ending:
        """What the training leaves if it ends here; it may go on all the same."""
        end = StandIn({})
        for each in self.callbacks:
            if hasattr(each, "restore_best_weights"):
                own = copy.copy(each)
                own.verbose = 0
                own.set_model(end)
                own.on_train_end({})
        return Ending(restored_epoch(self.callbacks) if end.restored else None, end.restored)

    def close(self) -> None:
        """Training is over."""
        self._call("on_train_end", {})

    @property
    def state(self) -> bytes:
        """To go on from here: see `state_of`."""
        return state_of(self.callbacks)
