"""The user's `build_model` with what it asks for besides a configuration."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tuning.compatibility.keras import add_metric
from tuning.engines.repeat import initial_model
from tuning.errors import TuningError
from tuning.space.given import space_of

if TYPE_CHECKING:
    import keras

META = "meta"
ADDED = "search_"  # what the names of metrics begin with that a search adds
TRIES = 5  # configurations, of which one has to be built

Metrics = Mapping[str, tuple[str, Mapping[str, float]]]
"""By their names: the functions of `keras.metrics` whose means they are, with keywords."""


class Builder:
    """Calls `build_model`, with what is known of the data if it takes that, and adds metrics.

    Parameters
    ----------
    build_model : callable
        Takes a configuration, or this and a dict of what is known of the data.
    meta : dict
        That dict.
    metrics : mapping, optional
        That models are to report besides their own.

    Raises
    ------
    TuningError
        If `build_model` is no function.
    """

    def __init__(
        self, build_model: Callable[..., Any], meta: dict[str, Any], metrics: Metrics | None = None
    ) -> None:
        if not callable(build_model):
            kind = type(build_model).__name__
            raise TuningError(f"build_model has to be a function that returns a model, not {kind}")
        self.build_model, self.meta = build_model, meta
        self.metrics = dict(metrics or {})

    def __call__(self, config: dict[str, Any]) -> Any:
        import keras

        arguments = (self.meta,) if takes_meta(self.build_model) else ()
        model = self.build_model(config, *arguments)
        for name, (function, keywords) in self.metrics.items():
            measure = getattr(keras.metrics, function)
            add_metric(model, keras.metrics.MeanMetricWrapper(measure, ADDED + name, **keywords))
        return model


def takes_meta(build_model: Callable[..., Any]) -> bool:
    """Whether a function takes what is known of the data: has a second parameter without default.

    Or one of the name ``meta``.
    """
    try:
        parameters = inspect.signature(build_model).parameters
    except (TypeError, ValueError):
        return False
    needed = [
        each
        for each in parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ][1:2]
    return any(each.default is each.empty or each.name == META for each in needed)


def first_model(build_model: Callable[[dict[str, Any]], Any], space: Any) -> keras.Model:
    """The model of the first of a few configurations that can be built.

    Parameters
    ----------
    build_model : callable
    space : Space or mapping

    Raises
    ------
    TuningError
        If `build_model` does not return a compiled Keras model.
    """
    known, draws = space_of(space), random.Random(0)
    for left in reversed(range(TRIES)):
        configuration = known.values(known.draw(draws))
        try:
            return initial_model(build_model, configuration, 0)
        except Exception:
            if not left:
                raise
    raise AssertionError
