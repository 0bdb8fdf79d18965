"""The two calls that Python code begins with: a search, and the results of one."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tuning.api.results import Results
from tuning.api.search import prepared
from tuning.api.settings import KEEP, Request, settle
from tuning.budget import Budget, seconds_of
from tuning.callbacks.notebook import NotebookProgress, in_notebook
from tuning.callbacks.terminal import TerminalProgress
from tuning.errors import TuningError
from tuning.execution.loop import Progress
from tuning.problem.functions import problem_of
from tuning.problem.problem import DEFAULT_METRIC, Mode
from tuning.report.terminal import Output
from tuning.runs.manifest import MANIFEST, read_manifest
from tuning.space.space import Space

if TYPE_CHECKING:
    import keras


def search(
    build_model: Callable[[dict[str, Any]], keras.Model],
    space: Space | Mapping[str, Any],
    load_data: Any,
    *,
    trials: int | None = None,
    strategy: str | None = "random",
    seed: int = 0,
    sweep: int | str | None = None,
    time: float | str | None = None,
    target: float | None = None,
    stop_after: int | None = None,
    epochs_total: int | None = None,
    start: Sequence[Mapping[str, Any]] = (),
    prior: Mapping[str, Any] | None = None,
    warm: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    metric: str = DEFAULT_METRIC,
    mode: Mode | None = None,
    validation_split: float | None = None,
    workers: int | None = None,
    engine: str = "auto",
    backend: str | None = None,
    out: str | Path | None = None,
    keep: int = KEEP,
    finalists: int | None = None,
    repeats: int | None = None,
    folds: Any = None,
    groups: Any = None,
    class_weight: Any = None,
    sample_weight: Any = None,
    keep_optimizer: bool = False,
    trial_timeout: float | None = None,
    trial_memory: str | None = None,
    address: str | None = None,
    executor: str | None = None,
    callbacks: Any = None,
    progress: Sequence[Progress] = (),
    cache: bool = True,
    verbose: bool = False,
    show_progress: bool = True,
) -> Results:
    """Search hyperparameters of a Keras model, and return what was found.

    Trials train in worker processes on one CPU each, so this process keeps its Keras, its random
    state and its Ray. Configurations whose models differ only in numbers train together, as one
    compiled program. An interrupted search goes on when the same call is made again with the same
    `out`.

    Parameters
    ----------
    build_model : callable
        Takes a configuration as a dict, and returns a compiled Keras model. Any function will do:
        of a script, a notebook cell, a lambda, a closure.
    space : Space, Grid or dict
        The hyperparameters: a list of values for each, or a `Float`, `Int`, `Choice` or `Fixed`, or
        a value that all configurations have. Values may be anything; `results.trials` has a
        readable label where one is no number, boolean or text. ``batch_size`` and ``epochs`` steer
        training (Keras' 32 and 1 where there are none), and so do ``class_weight`` and
        ``sample_weight``; the others reach `build_model` and, where it takes a configuration,
        `load_data`.
    load_data : callable, dict, or tuple of arrays
        A function without arguments that returns the splits, or these themselves: a dict with
        ``train``, ``validation`` and, if there is one, ``test``, each ``(x, y)`` or ``(x, y,
        sample_weight)``, whose first dimension counts the rows. Or one ``(x, y)`` together with
        `validation_split`. A function with a parameter is given the configuration, and what it
        reads of it are axes of the data: it runs in the workers as well.
    trials : int, optional
        Of the strategy: trainings that it begins. Unless told as many as `time`, `target`,
        `stop_after` or `epochs_total` allow; without these 20 of random search, and of another
        strategy 100.
    strategy : str or None
        ``random``, ``packs``, ``halving``, ``hyperband``, ``evolution``, ``optuna``, ``iepoch``, or
        another that is registered; None for a sweep alone.
    seed : int
        Of the strategy's draw and of every training.
    sweep : int or str, optional
        Also, or with ``strategy=None`` only, a sweep of the grid in its order: the first N points,
        a range ``"A:B"``, or ``"all"``.
    time : float or str, optional
        Seconds of training, or a duration such as ``"5m"``: then what trains is stopped at the end
        of its epoch.
    target : float, optional
        A score of `metric`: the first trial that reaches it ends the search.
    stop_after : int, optional
        The search ends after so many trials in a row that are no better than the best before them.
    epochs_total : int, optional
        The search ends when so many epochs were trained.
    start : sequence of dict
        Configurations to try first.
    prior : mapping, optional
        Where good values are likely: for a hyperparameter's name a mapping of its values to
        weights, or for a range ``{"mean": …, "width": …}``.
    warm : str or Path, optional
        An earlier run, of whose trials the strategy hears first: see `docs/strategies.md`.
    settings : mapping, optional
        Further settings of the strategy, by name: see `docs/strategies.md`.
    metric : str
        The validation metric that chooses, as Keras' logs name it.
    mode : {"max", "min"}, optional
        Whether more or less of it is better, where Keras does not know it.
    validation_split : float, optional
        The share of the rows of ``(x, y)`` that validates: the last ones, as in Keras' `fit`.
    workers : int, optional
        Trials that train at once; one a CPU unless told. With 0 this process trains them itself:
        for debugging.
    engine : {"auto", "fit"}
        Whether to train together what shares a program, or each trial by Keras' own `fit`.
    backend : {"jax", "tensorflow", "torch"}, optional
        What Keras runs on in the workers.
    out : str or Path, optional
        A directory for the rows, the curves and the best models, which a later call goes on with.
        Without it they are in a temporary one, deleted with the results unless these are saved.
    keep : int
        How many models of the best trials to keep.
    finalists : int, optional
        How many of the best configurations to train again with other seeds once the search has
        ended, whatever ended it: see `Results.finalists`. None unless told; of a run that is gone
        on with, as many as before.
    repeats : int, optional
        With how many other seeds each finalist is trained, 5 unless told. Without finalists, with
        how many seeds each trial is trained, whose scores are then means; 1 unless told.
    folds : int, splitter or iterable of (array, array), optional
        Cross-validation, in place of validation rows: the number of folds, a splitter of
        scikit-learn, or the rows that each fold trains and validates. The scores of a trial are
        the means of its folds; `Results.parts` has each. The models that are kept are trained on
        all rows.
    groups : array, shape (rows,), optional
        With `folds`: rows of one group are never in training and validation of one fold.
    class_weight : dict of int to float, "balanced" or callable, optional
        The weight of each class in training, as in Keras' `fit`; with ``"balanced"`` each class
        weighs as much as any other. A function takes a configuration and returns one of these, or
        None. An axis ``class_weight`` of the space tries several.
    sample_weight : "balanced" or callable, optional
        A function of the training rows' (x, y) that returns their weights. An axis
        ``sample_weight`` of the space tries several. Weights that are known stand in the data.
    keep_optimizer : bool
        Whether with their optimizer's state, to go on training.
    trial_timeout : float, optional
        Seconds after which a trial is ended.
    trial_memory : str, optional
        The memory beyond which a trial is ended, such as ``"4GB"``.
    address : str, optional
        A Ray cluster to join.
    executor : {"processes", "ray"}, optional
        Whether trials train in worker processes of this machine, or on Ray. Unless told on Ray if
        there is an address, here or in the environment's ``RAY_ADDRESS``, or this process is
        connected to a Ray.
    callbacks : list of keras.callbacks.Callback or callable, optional
        Of every training: a list, of which each training has copies of its own, or a function that
        takes a configuration and returns a list. It may read axes, such as a patience.
    progress : sequence of Progress
        That hear of packs and outcomes.
    cache : bool
        Whether to keep compiled programs, and what was found of models, in the user's cache
        directory.
    verbose : bool
        Let libraries and the workers print.
    progress : bool
        Whether to show a bar, or lines where there is no terminal.

    Returns
    -------
    Results
        In a notebook also after an interruption, with what there is.

    Raises
    ------
    TuningError
        For what cannot be done as asked: one sentence that names it.
    RunStopped
        If the search could not go on; with `out`, what was counted is there.

    Examples
    --------
    >>> results = tuning.search(build_model, {"units": [16, 32]}, data)  # doctest: +SKIP
    >>> results.best_model().evaluate(x_test, y_test)  # doctest: +SKIP
    """
    if isinstance(callbacks, list | tuple) and any(isinstance(c, Progress) for c in callbacks):
        raise TuningError(
            "callbacks are those of Keras; what hears of the search's progress goes to progress="
        )
    problem = problem_of(
        build_model, space, load_data, metric=metric, mode=mode, validation_split=validation_split,
        folds=folds, groups=groups, class_weight=class_weight, sample_weight=sample_weight,
        callbacks=callbacks,
    )  # fmt: skip
    try:
        budget = Budget(
            time=seconds_of(time) if isinstance(time, str) else time,
            target=target,
            stop_after=stop_after,
            epochs=epochs_total,
        )
    except TuningError as error:
        raise TuningError(_as_keywords(str(error))) from None
    given: dict[str, Any] = {
        **(settings or {}),
        **({"start": [problem.space.labels(each) for each in start]} if start else {}),
        **({"prior": {name: dict(own) for name, own in prior.items()}} if prior else {}),
    }
    temporary = None if out is not None else Path(tempfile.mkdtemp(prefix="tuning-"))
    request = Request(
        problem=problem,
        strategy=[] if strategy is None else [strategy],
        trials=None if trials is None else int(min(trials, problem.space.size)),
        given=given,
        sweep=None if sweep is None else str(sweep),
        budget=budget,
        warm=None if warm is None else Path(warm),
        seed=seed,
        workers=workers,
        engine=engine,
        backend=backend or _own_backend(workers),
        out=temporary / problem.name if temporary is not None else Path(str(out)),
        keep=keep,
        finalists=finalists,
        repeats=repeats,
        keep_optimizer=keep_optimizer,
        trial_timeout=trial_timeout,
        trial_memory=trial_memory,
        address=address,
        executor=executor,
        cache=cache,
        verbose=verbose,
    )
    try:
        return _search(request, progress, temporary, show_progress)
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise


def _search(
    request: Request, progress: Sequence[Progress], temporary: Path | None, show_progress: bool
) -> Results:
    errors = Output(stderr=True, goes_on=True)
    errors.quiet = not show_progress
    notebook = in_notebook()
    try:
        settings = settle(request)
    except TuningError as error:
        raise TuningError(_as_keywords(str(error))) from None
    status = contextlib.nullcontext if notebook else errors.status
    try:
        with prepared(settings, request, status) as ready:
            workers, mode = ready.executor.workers, ready.run.manifest.problem.mode
            with _progress(ready.total, workers, settings.problem.metric, mode, errors) as shown:
                ready.go(_Several([shown, *progress]), request.keep_optimizer)
    except KeyboardInterrupt:
        if not notebook or not (settings.out / MANIFEST).exists():
            raise
        print("Interrupted: these are the results so far.", file=sys.stderr)
    return Results(settings.out, problem=settings.problem, temporary=temporary)


def _as_keywords(sentence: str) -> str:
    """A sentence about options of the command, about the keywords of the same names."""
    return re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda option: option[1].replace("-", "_"), sentence)


def _progress(
    trials: int, workers: int, metric: str, mode: Mode, errors: Console
) -> NotebookProgress | TerminalProgress:
    if in_notebook() and not errors.quiet:
        return NotebookProgress(trials, workers=workers, metric=metric, mode=mode)
    return TerminalProgress(trials, workers=workers, metric=metric, mode=mode, console=errors)


def _own_backend(workers: int | None) -> str | None:
    """The backend of Keras in this process, if this process is to train."""
    if workers == 0 and "keras" in sys.modules:
        return str(sys.modules["keras"].backend.backend())
    return None


class _Several(Progress):
    """Passes the course of a search on to several listeners."""

    def __init__(self, each: Sequence[Progress]) -> None:
        self._each = each

    def begun(self, trials: int, course: Any, *, learns: bool) -> None:
        for own in self._each:
            own.begun(trials, course, learns=learns)

    def planned(self, pack: Any) -> None:
        for own in self._each:
            own.planned(pack)

    def trained(self, pack: Any, report: Any, counted: Any) -> None:
        for own in self._each:
            own.trained(pack, report, counted)

    def ended(self, pack: Any) -> None:
        for own in self._each:
            own.ended(pack)

    def kept(self, rows: int) -> None:
        for own in self._each:
            own.kept(rows)


def open(path: str | Path) -> Results:
    """The results of a run, or of a published table.

    Parameters
    ----------
    path : str or Path
        The directory.

    Returns
    -------
    Results

    Raises
    ------
    TuningError
        If there is no run, or it is damaged.
    """
    read_manifest(path)
    return Results(Path(path))
