"""May rows be scored in batches of another size than the configuration's?

Packs score many rows at once, as that is faster. Keras scores in batches of `batch_size`, and what
is computed of a batch, such as precision and recall averaged over batches, depends on their size.
So it is tried, on rows of the data and several weights: where twelve rows cut to batches of 4 and 8
and to batches of 8 and 4 do not have the same scores, a program scores in the batches Keras would.
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.compatibility.keras import in_floats
from tuning.engines.batches import in_floatx
from tuning.engines.models import compiled_fast
from tuning.packing.sameness import Steps
from tuning.packing.trace import Body, Slot, Trace
from tuning.problem.data import Arrays, Data, map_arrays, named_arrays, splits_of

if TYPE_CHECKING:
    import keras

CUTS = ((4, 8), (8, 4))  # rows of each batch
DRAWS = 7  # of weights, the first as they begin
SCALES = (2.0, 0.5)  # of what the drawn ones make of inputs
TOLERANCE = {"float32": 1e-5, "float64": 1e-5}  # beside what other types round: 0.02
OF_SHAPES = ("shape", "new_sizes", "sharding", "out_sharding")

_known: dict[str, bool] = {}


def adds_up(model: keras.Model, steps: Steps, data: Data, rows: int) -> bool:
    """Whether scores of rows are the same in whatever batches they are computed.

    Parameters
    ----------
    model : keras.Model
        Compiled and built, on JAX.
    steps : Steps
        What it does, traced for batches that score of so many `rows`.
    data : dict
    rows : int
    """
    if steps.logs:
        return False  # of a step of its own, what it logs last counts
    marks = [_marks(traced, rows) for traced in (steps.test, steps.results)]
    program = f"{steps.test.key} {steps.results.key} {marks}"
    if program in _known:  # as another member of it was looked at
        return _known[program]
    key = f"{_outline(steps.test)} {_outline(steps.results)} {marks}"
    if key not in _known:
        try:
            of_a_kind = {
                len(data[split]): data[split] for split in splits_of(data)[1:]
            }  # weighted or not
            _known[key] = all(_tried(model, steps, split) for split in of_a_kind.values())
        except (TypeError, ValueError, RuntimeError):  # of models that take no such batch
            _known[key] = False
    _known[program] = _known[key]
    return _known[key]


def _marks(traced: Trace, rows: int) -> list[bool]:
    """The numbers of a trace that may count a batch or its rows."""
    return [each.size == 1 and np.asarray(each).item() in (1, rows) for each in traced.numbers]


def _outline(traced: Trace) -> str:
    """A digest of what is done, whatever the shapes."""

    def lines(body: Body) -> Any:
        for operation in body.operations:
            params = {k: str(v) for k, v in operation.params.items() if k not in OF_SHAPES}
            inputs = [(isinstance(atom, Slot), atom.index) for atom in operation.inputs]
            yield operation.name, sorted(params.items()) if not operation.bodies else (), inputs
            for inner in operation.bodies:
                yield from lines(inner)

    return hashlib.sha256(repr(list(lines(traced.body))).encode()).hexdigest()


def _tried(model: keras.Model, steps: Steps, split: tuple[Arrays, ...]) -> bool:
    """Whether some rows at once and in parts have the same scores, with several weights."""
    import jax
    import keras

    step = jax.jit(lambda state, batch: model.test_step(state, batch)[1])

    def scores(state: Sequence[Any], batches: Sequence[Any]) -> dict[str, float]:
        for batch in batches:
            state = step(state, batch)
        pairs = zip(model.metrics_variables, state[2], strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)):
            return {k: float(v) for k, v in in_floats(model.get_metrics_result()).items()}

    n, m, k, _ = np.cumsum(steps.sizes)
    weights, others, metrics = steps.state[:n], steps.state[n:m], steps.state[k:]
    tolerance = max([TOLERANCE.get(str(each.dtype), 0.02) for each in weights], default=1e-5)
    random = np.random.default_rng(0)
    for draw in range(DRAWS):
        rows = _some_rows(split, random)
        state = (
            [_drawn(each, random, SCALES[draw % 2]) if draw else each for each in weights],
            others,
            metrics,
        )
        with compiled_fast(), _kept_nowhere():
            one, other = (scores(state, _cut(rows, first)) for first, _ in CUTS)
        values, again = (np.array([each[name] for name in one]) for each in (one, other))
        if not np.allclose(values, again, tolerance, tolerance / 10, equal_nan=True):
            return False
    return True


@contextlib.contextmanager
def _kept_nowhere() -> Iterator[None]:
    """Turn off JAX's cache on the disk for a while."""
    import jax

    option = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, option)
    jax.config.update(option, float("inf"))
    try:
        yield
    finally:
        jax.config.update(option, before)


def _cut(rows: tuple[Any, ...], first: int) -> list[tuple[Any, ...]]:
    """The rows in two batches, so many in the first."""
    return [map_arrays(operator.itemgetter(at), rows) for at in np.s_[:first, first:]]


def _some_rows(split: tuple[Arrays, ...], random: np.random.Generator) -> tuple[Any, ...]:
    """Rows in some order, their targets as unlike as can be."""
    target = next(each for _, each in named_arrays(split[1]))
    order = np.argsort(target.reshape(len(target), -1)[:, 0], kind="stable")
    spaced = order[np.linspace(0, len(order) - 1, sum(CUTS[0])).round().astype(int)]
    rows = random.permutation(spaced)
    drawn: tuple[Any, ...] = map_arrays(lambda array: in_floatx(array[rows]), split)
    return drawn


def _drawn(weights: np.ndarray, random: np.random.Generator, scale: float) -> np.ndarray:
    """Other weights, so that what a model returns is now one thing and now another."""
    if not np.issubdtype(weights.dtype, np.floating):
        return weights
    fan_in = max(1, weights.size // weights.shape[-1]) if weights.ndim > 1 else 4
    drawn: np.ndarray = random.normal(size=weights.shape) * scale / np.sqrt(fan_in)
    return drawn.astype(weights.dtype)
