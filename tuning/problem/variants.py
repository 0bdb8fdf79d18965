"""The data of a configuration, where `load_data` takes one: loaded when it is asked for."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning.errors import TuningError, shortened
from tuning.problem.data import Arrays, Data, data_fingerprint, named_arrays, splits_of
from tuning.problem.folds import folds_of
from tuning.problem.problem import Problem, load_data, takes_configuration
from tuning.space.labels import Value
from tuning.space.near import another, probed
from tuning.space.recorded import Recorded
from tuning.space.space import Configuration
from tuning.trial import Trial

KEPT = 4  # variants that a process keeps, beside the one that it was given
MEMORY_SHARE = 0.05  # of the machine's memory that they may fill, but for the last


@dataclass(frozen=True)
class Reads:
    """The hyperparameters that `load_data` has read of a configuration.

    A `load_data` that reads nothing else does the same for every configuration that agrees in them.

    Attributes
    ----------
    values : dict of str to value
        Of those that the configuration has.
    absent : frozenset of str
        Those that were looked for in vain.
    """

    values: dict[str, Value]
    absent: frozenset[str]

    @classmethod
    def of(cls, read: set[str], configuration: Mapping[str, Value]) -> Reads:
        """What was read of a configuration, by the names."""
        values = {name: configuration[name] for name in sorted(read & set(configuration))}
        return cls(values, frozenset(read - set(configuration)))

    def fit(self, configuration: Mapping[str, Value]) -> bool:
        """Whether a configuration agrees in all of them."""
        if not self.absent.isdisjoint(configuration):
            return False
        return all(
            name in configuration and configuration[name] == value
            for name, value in self.values.items()
        )

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return shortened(values, 80) or "no axis"


class Variant(dict[str, tuple[Arrays, ...]]):
    """The data of a configuration, of a problem whose `load_data` takes one.

    Parameters
    ----------
    data : dict
        Checked.
    reads : Reads
    axes : collection of str, optional
        The axes that are known to be read by `load_data`, whatever the configuration.
    known : sequence of (Reads, str), optional
        Fingerprints of the data of other configurations, as another process has loaded it.
    """

    def __init__(
        self,
        data: Data,
        reads: Reads,
        axes: frozenset[str] = frozenset(),
        known: Sequence[tuple[Reads, str]] = (),
    ) -> None:
        super().__init__(data)
        self.reads, self.axes, self.known = reads, axes, known

    @functools.cached_property
    def digest(self) -> str:
        """Its fingerprint."""
        return data_fingerprint(self)

    def __reduce__(self) -> tuple[type[Variant], tuple[object, ...]]:
        return Variant, (dict(self), self.reads, self.axes, self.known)


@dataclass(frozen=True)
class _Loaded:
    """What came of a call of `load_data`: the data, or why there is none."""

    problem: Problem
    reads: Reads
    found: Variant | TuningError

    @property
    def bytes(self) -> int:
        """The size of all arrays."""
        if isinstance(self.found, TuningError):
            return 0
        parts = (part for split in self.found.values() for part in split)
        return sum(array.nbytes for part in parts for _, array in named_arrays(part))


_kept: deque[_Loaded] = deque(maxlen=KEPT)
_loading = threading.Lock()


def axes_of_data(data: Data) -> frozenset[str]:
    """The axes that `load_data` is known to read; none where it takes no configuration."""
    return data.axes if isinstance(data, Variant) else frozenset()


def searched_data(problem: Problem) -> tuple[Data, str]:
    """The data to begin a search with, and the fingerprint of all the data of the problem.

    Where `load_data` takes a configuration, the fingerprint covers the base variant and one of
    another value of each axis that is read, and the data knows these axes.

    Raises
    ------
    TuningError
        As `tuning.problem.problem.load_data`.
    """
    if not takes_configuration(problem.load_data):
        data = load_data(problem)
        return data, data_fingerprint(data)
    configuration, base = _base(problem)
    known: list[tuple[Reads, str]] = [(base.reads, base.digest)]
    found: dict[str, str] = {}
    left = deque((name, configuration) for name in sorted(base.axes))
    while left:
        name, having_read = left.popleft()
        if name in found:
            continue
        found[name] = ""
        other = another(problem.space, having_read, name)
        if other is None:
            continue
        try:
            own = data_of(problem, base, other)
        except TuningError:  # its own trials will say so
            continue
        assert isinstance(own, Variant)
        found[name] = own.digest
        known.append((own.reads, found[name]))
        left.extend((each, other) for each in sorted(own.axes))
    whole = hashlib.sha256(repr([known[0][1], sorted(found.items())]).encode()).hexdigest()
    return Variant(base, base.reads, frozenset(found), known), whole


def load_for(problem: Problem, configuration: Configuration) -> Data:
    """The data of one configuration, loaded now.

    Raises
    ------
    TuningError
        As `tuning.problem.problem.load_data`.
    """
    if not takes_configuration(problem.load_data):
        return load_data(problem)
    found = _loaded(problem, configuration).found
    if isinstance(found, TuningError):
        raise found
    return found


def data_of(problem: Problem, data: Data, configuration: Mapping[str, Value]) -> Data:
    """The data of a configuration: what is at hand if it is of that, else what is loaded now.

    Parameters
    ----------
    problem : Problem
    data : dict
        Of `searched_data`.
    configuration : mapping
        With labels in place of values.

    Raises
    ------
    TuningError
        If it cannot be loaded, or has other splits or another number of folds.
    """
    if not isinstance(data, Variant) or data.reads.fit(configuration):
        return data
    with _loading:
        loaded = next((each for each in _kept if _is_of(each, problem, configuration)), None)
        if loaded is None:
            loaded = _loaded(problem, configuration, like=data)
        else:
            _kept.remove(loaded)
        _keep(loaded)
    if isinstance(loaded.found, TuningError):
        raise loaded.found
    return loaded.found


def parts_of_data(trials: Sequence[Trial], data: Data) -> tuple[list[Trial], list[Trial]]:
    """The trials that some data, of the first one's configuration, is of, and the others."""
    if not isinstance(data, Variant):
        return list(trials), []
    fitting = [data.reads.fit(trial.configuration) for trial in trials]
    return (
        [trial for trial, fits in zip(trials, fitting, strict=True) if fits],
        [trial for trial, fits in zip(trials, fitting, strict=True) if not fits],
    )


def refuse_other_draws(problem: Problem, base: Data, own: Data) -> None:
    """Refuse data that is not what another process has loaded for the same values.

    Raises
    ------
    TuningError
    """
    if own is base or not isinstance(own, Variant) or not isinstance(base, Variant):
        return
    known = next((digest for reads, digest in base.known if reads == own.reads), None)
    if known is not None and known != own.digest:
        raise TuningError(
            f"{_where(problem)} returns other data of {own.reads} each time: seed what it draws at "
            "random"
        )


def _base(problem: Problem) -> tuple[Configuration, Variant]:
    """The first of a few configurations whose data can be loaded, and its data."""
    errors: list[TuningError] = []
    for configuration in probed(problem.space):
        found = _loaded(problem, configuration).found
        if isinstance(found, Variant):
            return configuration, found
        errors.append(found)
    raise errors[0]


def _loaded(
    problem: Problem, configuration: Mapping[str, Value], like: Data | None = None
) -> _Loaded:
    """What comes of `load_data` with a configuration.

    Parameters
    ----------
    like : dict, optional
        Data of another, whose splits and number of folds it has to have.
    """
    recorded = Recorded(problem.space.values(configuration))
    try:
        data = load_data(problem, recorded)
        reads = Reads.of(recorded.read, configuration)
        if fault := _fault(data, reads, like):
            raise TuningError(f"{_where(problem)} {fault}")
    except TuningError as error:
        return _Loaded(problem, Reads.of(recorded.read, configuration), error)
    axes = frozenset(recorded.read & set(problem.space.parameters))
    return _Loaded(problem, reads, Variant(data, reads, axes))


def _fault(data: Data, reads: Reads, like: Data | None) -> str:
    """What is wrong with the data of a configuration, in a few words; empty if it is right."""
    if "epochs" in (*reads.values, *reads.absent):
        return (
            "reads 'epochs', and a training of few epochs is the beginning of a longer one on the "
            "same data: let it read other axes"
        )
    if like is None:
        return ""
    if splits_of(data) != splits_of(like):
        own, others = (" and ".join(splits_of(each)) for each in (data, like))
        return f"returns {own} for {reads}, and {others} for others"
    if len(folds_of(data)) != len(folds_of(like)):
        own, others = (str(len(folds_of(each))) for each in (data, like))
        return f"is cut into {own} folds for {reads}, and into {others} for others"
    return ""


def _where(problem: Problem) -> str:
    return f"load_data() of problem {problem.name!r}"


def _is_of(loaded: _Loaded, problem: Problem, configuration: Mapping[str, Value]) -> bool:
    return loaded.problem is problem and loaded.reads.fit(configuration)


def _keep(loaded: _Loaded) -> None:
    """Keep what was loaded or asked for last, and let go of what is too much."""
    _kept.append(loaded)
    most = MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    while len(_kept) > 1 and sum(each.bytes for each in _kept) > most:
        _kept.popleft()
