"""Settings outside of a problem's file that change its numbers: Keras', and variables."""

from __future__ import annotations

import functools
import os
from typing import Any

from tuning.compatibility.keras import settings_now, settings_of_another_process
from tuning.errors import TuningError, listed, shortened
from tuning.problem.problem import Code, Problem

XLA_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"  # which every worker sets
PREFIXES = (  # not all of TF_, which is Terraform's, too
    "JAX_",
    "KERAS_",
    "TF_CUDNN_",
    "TF_DETERMINISTIC_",
    "TF_DISABLE_",
    "TF_ENABLE_",
    "TF_USE_",
    "TF_XLA_",
    "XLA_",
)
WITHOUT_EFFECT = (  # on numbers: where and how loudly, or set for every worker
    "JAX_COMPILATION_CACHE",
    "JAX_LOG",
    "JAX_PERSISTENT_CACHE",
    "JAX_PLATFORM",
    "JAX_TRACEBACK",
    "KERAS_BACKEND",
    "KERAS_HOME",
    "KERAS_MAX_",
)
WIDTH = 40  # characters of a value that is shown
SETTINGS = ("floatx", "epsilon", "image_data_format", "dtype_policy")


def settings_of(problem: Problem) -> dict[str, Any]:
    """The settings of Keras with which every model of a problem is built.

    They are those that running the problem's file left, or those that travel with its functions;
    what a model changes does not count.
    """
    return _settings_of(problem.code)


@functools.cache
def _settings_of(code: Code) -> dict[str, Any]:
    if code.settings is None:
        return settings_now()
    return settings_of_another_process(code.settings)


def environment(problem: Problem) -> dict[str, str]:
    """The settings that change numbers in this process, by name: Keras', and variables."""
    settings = settings_of(problem)
    found = {name: str(settings[name]) for name in SETTINGS}
    for name, value in sorted(os.environ.items()):
        if name.startswith(PREFIXES) and not name.startswith(WITHOUT_EFFECT):
            text = " ".join(value.replace(XLA_ONE_THREAD, "").split())
            if text:
                found[name] = text
    return found


def refuse_another_environment(problem: Problem, expected: dict[str, str]) -> None:
    """Refuse to train where the numbers would be others than on the run's other workers.

    Raises
    ------
    TuningError
    """
    if found := differing(expected, environment(problem)):
        raise TuningError(f"Keras is not set up here as in the run: {listed(found)}")


def differing(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """In what two environments differ, each as a phrase."""
    shown = functools.partial(shortened, width=WIDTH)
    return [
        f"its {name} is {shown(old[name])}, not {shown(new.get(name, 'unset'))}"
        if name in old
        else f"its {name} is not set to {shown(new[name])}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
