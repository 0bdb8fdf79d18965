"""One Keras model that averages the outputs of several, and which of them to take how often."""

from __future__ import annotations

import operator
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tuning.compatibility.keras import fixed_rows, in_floats
from tuning.engines.batches import in_floatx
from tuning.engines.saving import foreign_parts
from tuning.problem.data import Arrays, Data, map_arrays, splits_of
from tuning.runs.columns import SCORED
from tuning.trial import KERAS_BATCH_SIZE

if TYPE_CHECKING:
    import keras

Rank: TypeAlias = tuple[float, ...]
"""What ensembles are compared by: the higher the better; of equals the next number counts."""

STEPS = 20  # of greedy selection; the best ensemble on the way is taken
BAG = 0.5  # of the models, among which a bag selects


def averaged(members: Sequence[keras.Model], taken: Sequence[int], data: Data) -> keras.Model:
    """A model whose outputs are the means of its members' outputs, compiled as the first one is.

    Of several outputs each is averaged. What is averaged is what the members return: logits, where
    they return logits. It consists of the members and of Keras' own layers. The members are frozen
    and get new names; penalties on their weights are no part of its loss.

    Parameters
    ----------
    members : sequence of keras.Model
        Loaded with what they were compiled with. Their inputs and outputs have the same shapes.
    taken : sequence of int
        The weight of each: above 0.
    data : dict
        Of which a row tells the inputs of members that do not tell them themselves.
    """
    import keras

    for place, member in enumerate(members):
        member.name = f"member_{place}"
        member.trainable = False
    first = members[0]
    inputs = _inputs(first, data)
    outputs = [member(inputs) for member in members]
    leaves = [keras.tree.flatten(each) for each in outputs]
    names = getattr(first, "output_names", None) or ()
    if len(set(names)) != len(leaves[0]):
        names = [f"mean_{place}" for place in range(len(leaves[0]))]
    means = [
        _mean(each, taken, name)
        for each, name in zip(zip(*leaves, strict=True), names, strict=True)
    ]
    model = keras.Model(inputs, keras.tree.pack_sequence_as(outputs[0], means), name="ensemble")
    model.compile_from_config(first.get_compile_config())
    return model


def _inputs(model: keras.Model, data: Data) -> Any:
    """New inputs like those of a model; of one that has not said them, like a row of data."""
    import keras

    try:
        given = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    except (AttributeError, ValueError):
        return map_arrays(
            lambda array: keras.Input(array.shape[1:], dtype=str(in_floatx(array[:1]).dtype)),
            data["train"][0],
        )
    return keras.tree.map_structure(
        lambda each: keras.Input(batch_shape=each.shape, dtype=each.dtype, name=each.name), given
    )


def _mean(outputs: Sequence[Any], taken: Sequence[int], name: str) -> Any:
    """The weighted mean of outputs, as a layer of that name."""
    from keras import layers

    if len(outputs) == 1:
        return layers.Identity(name=name)(outputs[0])
    if len(set(taken)) == 1:
        return layers.Average(name=name)(list(outputs))
    total = sum(taken)
    parts = [
        layers.Rescaling(weight / total)(output)
        for output, weight in zip(outputs, taken, strict=True)
    ]
    return layers.Add(name=name)(parts)


def scores_on(model: keras.Model, data: Data) -> dict[str, float]:
    """What Keras' `evaluate` gives on validation and test data: ``val_accuracy`` and the like."""
    found: dict[str, float] = {}
    for split in splits_of(data)[1:]:
        x, y, *weights = map_arrays(in_floatx, data[split])
        scores = model.evaluate(
            x, y, sample_weight=weights[0] if weights else None, batch_size=_rows(model),
            verbose=0, return_dict=True,
        )  # fmt: skip
        found |= {f"{SCORED[split]}_{name}": float(v) for name, v in in_floats(scores).items()}
    return found


def as_file(model: keras.Model) -> tuple[bytes, str]:
    """The ``.keras`` file of a model, and which of the user's classes it needs to be loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes(), foreign_parts(path)[1]


def taken_greedily(
    members: Sequence[keras.Model], data: Data, rank: Callable[[Mapping[str, float]], Rank],
    *, bags: int = 0, seed: int = 0,
) -> list[int]:  # fmt: skip
    """How often a greedy selection with replacement takes each of some models.

    Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of models", ICML
    2004: it starts with the best few models, as many as are best together; adds the model with
    which the mean of all taken is best, any number of times; and takes the best ensemble on the
    way. With bags it is done as often on half of the models, drawn at random, and what is taken is
    added up.

    Parameters
    ----------
    members : sequence of keras.Model
        The best one first. They are frozen and get new names.
    data : dict
        Its validation rows are what is selected by.
    rank : callable
        What scores such as ``val_accuracy`` are compared by; more is better.
    bags : int
        How many; with 0 all models are selected from, once.
    seed : int
        Of the bags.

    Returns
    -------
    list of int
    """
    x, y, *weights = map_arrays(in_floatx, data["validation"])
    outputs = [each.predict(x, batch_size=_rows(each), verbose=0) for each in members]
    judge = averaged(members, [1] * len(members), data)
    of_split = SCORED["validation"]

    def ranked(mean: Arrays) -> Rank:
        scores = _scores(judge, x, y, mean, weights[0] if weights else None)
        return rank({f"{of_split}_{name}": value for name, value in scores.items()})

    if not bags:
        every: list[int] = _selected(outputs, range(len(members)), ranked).tolist()
        return every
    random = np.random.default_rng(seed)
    size = max(1, round(BAG * len(members)))
    drawn = [np.sort(random.choice(len(members), size, replace=False)) for _ in range(bags)]
    each = [_selected(outputs, own.tolist(), ranked) for own in drawn]
    taken: list[int] = np.sum(each, axis=0).tolist()
    return taken


def _selected(
    outputs: Sequence[Any], among: Sequence[int], ranked: Callable[[Any], Rank]
) -> np.ndarray:
    """How often each model is taken, of those among which is selected."""
    import keras

    def tried(counts: np.ndarray, i: int) -> tuple[Rank, np.ndarray]:
        """The ensemble that has one model more."""
        more = counts + (np.arange(len(outputs)) == i)
        shares = [float(share) for share in more / more.sum()]
        mean = keras.tree.map_structure(
            lambda *each: sum(share * one for share, one in zip(shares, each, strict=True)),
            *outputs,
        )
        return ranked(mean), more

    none = np.zeros(len(outputs), int)
    first = [
        tried(none + np.isin(np.arange(len(outputs)), among[:n]), among[n])
        for n in range(len(among))
    ]
    best = found = max(first, key=operator.itemgetter(0))
    for _ in range(STEPS):
        found = max((tried(found[1], i) for i in among), key=operator.itemgetter(0))
        best = max(best, found, key=operator.itemgetter(0))
    return best[1]


def _scores(model: keras.Model, x: Any, y: Any, outputs: Any, weights: Any) -> dict[str, float]:
    """The loss and the metrics that a model would have if these were its outputs."""
    import keras

    y, outputs = (
        keras.tree.map_structure(keras.ops.convert_to_tensor, each) for each in (y, outputs)
    )
    model.reset_metrics()
    loss = model.compute_loss(x, y, outputs, weights)
    scores = model.compute_metrics(x, y, outputs, weights)
    return {name: float(value) for name, value in in_floats({**scores, "loss": loss}).items()}


def _rows(model: keras.Model) -> int:
    """The rows of a batch that is scored."""
    return fixed_rows(model) or KERAS_BATCH_SIZE
