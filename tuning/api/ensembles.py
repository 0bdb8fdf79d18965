"""Ensembles: the best models of a run as one, which is kept in its directory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tuning.errors import TuningError, quoted
from tuning.problem.data import Data, data_fingerprint, splits_of
from tuning.problem.problem import Problem
from tuning.problem.variants import axes_of_data, data_of, searched_data
from tuning.runs.best import PLAIN, kept_trials
from tuning.runs.ensembles import Ensemble, Part, write_ensemble
from tuning.runs.manifest import Manifest
from tuning.runs.table import points_of
from tuning.space.space import Configuration

if TYPE_CHECKING:
    import keras

    from tuning.engines.ensembles import Rank

ENSEMBLE = 5  # models, unless told
BEST, GREEDY = "best", "greedy"  # how models are selected


def check_ensemble(k: int, selection: str, bags: int) -> None:
    """Refuse numbers and a selection that there cannot be.

    Raises
    ------
    TuningError
    """
    for name, value, least in (("k", k, 1), ("bags", bags, 0)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise TuningError(f"{name} takes a whole number from {least}, not {quoted(value)}")
    if selection not in (BEST, GREEDY):
        raise TuningError(f"selection takes {BEST!r} or {GREEDY!r}, not {quoted(selection)}")
    if bags and selection == BEST:
        raise TuningError(f"bags are of the selection {GREEDY!r}: {BEST!r} takes each model once")


def kept_rows(run: Path, ranked: pd.DataFrame, manifest: Manifest, k: int) -> pd.DataFrame:
    """The k best trials whose models are kept, each configuration once.

    Parameters
    ----------
    run : Path
    ranked : DataFrame
        Rows of `tuning.load_results` with a result, the best first.
    manifest : Manifest
    k : int

    Raises
    ------
    TuningError
        If there are fewer.
    """
    kept = kept_trials(run)
    names = list(zip(ranked["strategy"], ranked["trial"], strict=True))
    own = ranked[[kept.get(name) == PLAIN for name in names]]
    found = own[~points_of(own, manifest.space).duplicated()]
    if len(found) < k:
        weights = len(kept) - sum(kind == PLAIN for kind in kept.values())
        others = f" (of {weights:,} it has weights, which only build_model can load)"
        raise TuningError(
            f"an ensemble of {k:,} takes as many models that Keras loads by itself, and {run} "
            f"keeps {len(found):,}{others if weights else ''}: search with keep={k}"
        )
    return found.head(k)


def same_data(
    run: Path, problem: Problem, manifest: Manifest, configurations: Sequence[Configuration]
) -> Data:
    """The data that a run was made with, of the configurations whose models are to be averaged.

    Raises
    ------
    TuningError
        If it cannot be loaded, has changed, or differs between the configurations.
    """
    data, digest = searched_data(problem)
    if digest != manifest.problem.fingerprint["data"]:
        raise TuningError(f"no ensemble of {run} can be scored: the problem's data has changed")
    variants = (data_of(problem, data, each) for each in configurations)
    first = next(variants)
    if axes_of_data(data) and any(_scored(own) != _scored(first) for own in variants):
        raise TuningError(
            f"an ensemble averages models of the same data, and load_data reads "
            f"{', '.join(sorted(axes_of_data(data)))}: the validation or test data of the best "
            f"{len(configurations):,} differs"
        )
    return first


def _scored(data: Data) -> str:
    """A fingerprint of what models are scored on."""
    return data_fingerprint({split: data[split] for split in splits_of(data)[1:]})


def make_ensemble(
    run: Path,
    members: Mapping[tuple[str, int], keras.Model],
    data: Data,
    manifest: Manifest,
    *,
    selection: str,
    bags: int,
) -> keras.Model:
    """The ensemble of kept models, which is written into the run with its scores.

    Parameters
    ----------
    run : Path
    members : mapping of (str, int) to keras.Model
        By the strategies and numbers of their trials, the best first.
    data : dict
        The validation rows select, the test rows never do.
    manifest : Manifest
    selection : {"best", "greedy"}
    bags : int

    Raises
    ------
    RunStopped
        If the disk does not take it.
    """
    from tuning.engines.ensembles import as_file, averaged, scores_on, taken_greedily

    trials, models = list(members), list(members.values())
    taken = [1] * len(models)
    if selection == GREEDY:
        taken = taken_greedily(models, data, _ranking(manifest), bags=bags, seed=manifest.seed)
    best = scores_on(averaged(models[:1], [1], data), data)
    parts = [place for place, n in enumerate(taken) if n]
    model = averaged([models[i] for i in parts], [taken[i] for i in parts], data)
    scores = scores_on(model, data)
    content, needs = as_file(model)
    about = [Part(*trials[i], taken[i]) for i in parts]
    write_ensemble(run, content, Ensemble(selection, len(models), about, scores, best, needs))
    return model


def _ranking(manifest: Manifest) -> Callable[[Mapping[str, float]], Rank]:
    """What ensembles are compared by: the metric that chooses, and of equals the loss."""
    metric, sign = manifest.problem.metric, 1 if manifest.problem.mode == "max" else -1

    def rank(scores: Mapping[str, float]) -> Rank:
        worth, loss = sign * scores[metric], scores["val_loss"]
        return tuple(each if math.isfinite(each) else -math.inf for each in (worth, -loss))

    return rank
