"""`KerasSearchCV`: a search that takes the place of scikit-learn's `GridSearchCV`."""

from __future__ import annotations

import os
import time as clock
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from tuning.api.public import search
from tuning.api.scikit.building import Builder, first_model, takes_meta
from tuning.api.scikit.models import (
    Estimator,
    KerasModel,
    Known,
    forget,
    has_probabilities,
    prepare_keras,
)
from tuning.api.scikit.outputs import OF_CLASSES, Task, loss_of, task_of_loss
from tuning.api.scikit.scores import ONE, SAME, Score, metrics_of, scored, scores_of
from tuning.api.scikit.table import Candidate, cv_results, ended_well
from tuning.errors import TuningError, quoted
from tuning.space.given import space_of
from tuning.space.space import Space

if TYPE_CHECKING:
    import keras

    from tuning.api.results import Results

GRID = "grid"
OF_THE_BEST = ("best_index_", "best_params_", "best_score_", "best_estimator_", "refit_time_")
ENDS = ("target", "time", "stop_after", "epochs_total")
WITHOUT_SCORES = (GRID, "random")  # strategies that ask for the same trials whatever the scores

_tasks: weakref.WeakKeyDictionary[Any, Task | None] = weakref.WeakKeyDictionary()


class KerasSearchCV(Estimator):
    """Search hyperparameters of a Keras model by cross-validation, as an estimator of scikit-learn.

    It takes the place of ``GridSearchCV(KerasClassifier(build_model), …)``: configurations and
    folds whose models differ only in numbers train together, as `tuning.search` has it. See
    `docs/scikit-learn.md`.

    Parameters
    ----------
    build_model : callable
        Takes a configuration as a dict, and returns a compiled Keras model. If it takes a second
        argument, this is a dict of what is known of the data: ``n_features_in_``, ``X_shape_``,
        ``X_dtype_``, ``target_type_``, ``n_classes_`` (None if the target has no classes) and
        ``n_outputs_`` (the columns of y).
    space : Space, Grid or dict
        As for `tuning.search`; ``batch_size`` and ``epochs`` steer training.
    strategy : str
        As for `tuning.search`, or ``"grid"`` for all configurations.
    n_iter : int
        The number of configurations, but for a grid; trainings of a strategy that stops some early.
    cv : int, splitter or iterable of (array, array)
        As for `GridSearchCV`: 5 folds in their order, stratified for classes, unless told.
    scoring : str, callable, list, tuple or dict, optional
        A scorer of scikit-learn, its name, or a metric that the models report, such as
        ``"val_auc"``; of what is less if better, the negative. Several by a list or by names in a
        dict. Accuracy or R² unless told. What follows from Keras' logs exactly (accuracy, R², and
        mean squared and absolute errors) is computed while models train. Others are computed from
        the predictions of every fold's models: then the strategy has to be ``"random"`` or
        ``"grid"``.
    refit : bool, str or callable
        Whether to train the best configuration again, on all rows. With several scores the name of
        the one that chooses; a function takes `cv_results_` and returns the index of the best.
    n_jobs : int, optional
        Worker processes, each with one CPU; -1 for one a CPU. None trains in this process, where
        packs are formed if Keras runs on JAX.
    random_state : int, RandomState or None
        Of the draw and of every training.
    task : {"classification", "regression"}, optional
        By the loss unless told, and by the target where the loss does not tell.
    error_score : float or "raise"
        The score of a training that failed.
    time, stop_after, epochs_total, start, prior, settings, engine, backend, executor, address
        As for `tuning.search`.
    target : float, optional
        A score: the first configuration whose mean reaches it ends the search.
    trial_timeout : float, optional
        Seconds after which a training is ended.
    out : str or Path, optional
        A directory for the search, which a later `fit` with the same arguments goes on with.
    cache : bool
        As for `tuning.search`.
    verbose : int
        Above 0 to show a bar.

    Attributes
    ----------
    cv_results_ : dict of str to array
        With scikit-learn's names. The time of a fit is its share of its pack; that of scoring is in
        it, and 0 by itself, where scores come from Keras' logs.
    best_index_ : int
    best_params_ : dict
    best_score_ : float
    best_estimator_ : KerasModel
        Its ``model_`` is the trained Keras model.
    refit_time_ : float
        In seconds.
    scorer_ : callable, or dict of str to callable
    multimetric_ : bool
    n_splits_ : int
    classes_ : array
        Of a classifier.
    n_features_in_ : int
    feature_names_in_ : array of str
        Of a data frame.
    results_ : list of Results
        Of the search; where scores come from predictions, of one search for each fold. Not pickled.

    Examples
    --------
    >>> search = tuning.KerasSearchCV(build_model, {"units": [16, 32]})  # doctest: +SKIP
    >>> search.fit(x, y).best_params_  # doctest: +SKIP
    """

    def __init__(
        self,
        build_model: Callable[..., Any],
        space: Space | Mapping[str, Any],
        *,
        strategy: str = "random",
        n_iter: int = 20,
        cv: Any = 5,
        scoring: Any = None,
        refit: bool | str | Callable[..., int] = True,
        n_jobs: int | None = None,
        random_state: Any = None,
        task: Task | None = None,
        error_score: Any = np.nan,
        time: float | str | None = None,
        target: float | None = None,
        stop_after: int | None = None,
        epochs_total: int | None = None,
        start: Sequence[Mapping[str, Any]] = (),
        prior: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        engine: str = "auto",
        backend: str | None = None,
        executor: str | None = None,
        address: str | None = None,
        trial_timeout: float | None = None,
        out: str | Path | None = None,
        cache: bool = True,
        verbose: int = 0,
    ) -> None:
        self.build_model = build_model
        self.space = space
        self.strategy = strategy
        self.n_iter = n_iter
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.task = task
        self.error_score = error_score
        self.time = time
        self.target = target
        self.stop_after = stop_after
        self.epochs_total = epochs_total
        self.start = start
        self.prior = prior
        self.settings = settings
        self.engine = engine
        self.backend = backend
        self.executor = executor
        self.address = address
        self.trial_timeout = trial_timeout
        self.out = out
        self.cache = cache
        self.verbose = verbose

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None
    ) -> KerasSearchCV:
        """Search, and train the best configuration on all rows.

        Parameters
        ----------
        X : array, shape (n, ...), or data frame
        y : array, shape (n,) or (n, k)
        sample_weight : array, shape (n,), optional
            Of the rows in training. Scores are unweighted, as in `GridSearchCV`.
        groups : array, shape (n,), optional
            For a splitter that takes them.

        Raises
        ------
        TuningError
            For what cannot be done as asked: one sentence that names it.
        RunStopped
            If the search could not go on.
        """
        known = self._read(X, y, sample_weight, self.space)
        scores, several = scores_of(self.scoring, known)
        self._check_refit(scores, several)
        folds = self._folds(known, groups)
        seed = self._seed()
        self._take(known)
        if all(score.log for score in scores.values()):
            results, found = self._by_logs(known, scores, folds, seed)
        else:
            results, found = self._by_predictions(known, scores, folds, seed)
        self.results_, self.n_splits_ = results, len(folds)
        self.cv_results_ = cv_results(found, self.error_score)
        self.multimetric_ = f"mean_test_{ONE}" not in self.cv_results_
        scorers = {name: score.scorer for name, score in scores.items()}
        self.scorer_ = scorers if several else scorers[ONE]
        self._choose()
        if self.refit:
            began = clock.perf_counter()
            self.best_estimator_ = self._model(self.best_params_, seed).fit(X, y, sample_weight)
            self.refit_time_ = clock.perf_counter() - began
        return self

    def _folds(self, known: Known, groups: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        classifies = known.outputs.task == "classification" and known.outputs.kind in OF_CLASSES
        splitter = check_cv(self.cv, known.y, classifier=classifies)
        return list(splitter.split(known.x, known.y, groups))

    def _check_refit(self, scores: Mapping[str, Score], several: bool) -> None:
        """Refuse a name that is no score's."""
        if callable(self.refit) or not self.refit:
            return
        if several and self.refit not in scores:
            raise TuningError(
                f"refit takes one of the names {', '.join(scores)}, a function or False where "
                f"scoring has names, not {quoted(self.refit)}"
            )

    @property
    def _chooses(self) -> str:
        """The name of the score that chooses."""
        return self.refit if isinstance(self.refit, str) and self.multimetric_ else ONE

    def _choose(self) -> None:
        """Set what is known of the best configuration, if one is asked for."""
        forget(self, *OF_THE_BEST)
        if self.multimetric_ and not self.refit:
            return
        if callable(self.refit):
            self.best_index_ = int(self.refit(self.cv_results_))
        else:
            if f"rank_test_{self._chooses}" not in self.cv_results_:
                raise TuningError(
                    f"scoring returns no score {self._chooses!r}: refit takes the name of one"
                )
            self.best_index_ = int(self.cv_results_[f"rank_test_{self._chooses}"].argmin())
            self.best_score_ = float(
                self.cv_results_[f"mean_test_{self._chooses}"][self.best_index_]
            )
        self.best_params_ = self.cv_results_["params"][self.best_index_]

    def _by_logs(
        self, known: Known, scores: Mapping[str, Score], folds: Sequence[Any], seed: int
    ) -> tuple[list[Results], list[Candidate]]:
        """Search all folds together, and take the scores from Keras' logs."""
        names = list(scores)
        first = scores[str(self.refit) if self.refit in names else names[0]]
        results = search(
            Builder(self.build_model, known.meta, metrics_of(scores, known)),
            self.space,
            known.parts,
            folds=folds,
            metric=first.log,
            mode=first.mode,
            target=None if self.target is None else first.in_log(self.target),
            out=self.out,
            keep=0,
            **self._options(seed),
        )
        found = {
            int(trial["trial"]): Candidate(results.configuration(trial))
            for _, trial in results.trials.sort_values("trial").iterrows()
        }
        parts = results.trials.assign(fold=0) if len(folds) == 1 else results.parts
        for _, part in parts.sort_values(["trial", "fold"]).iterrows():
            target = known.y[folds[int(part["fold"])][1]]
            own = {
                name: each.of_log(float(part[each.log]), target) for name, each in scores.items()
            }
            if int(part["trial"]) in found:
                found[int(part["trial"])].add(part, own if ended_well(part) else {})
        return [results], list(found.values())

    def _by_predictions(
        self, known: Known, scores: Mapping[str, Score], folds: Sequence[Any], seed: int
    ) -> tuple[list[Results], list[Candidate]]:
        """Search each fold by itself, and score the predictions of all of its models."""
        self._refuse_what_hears(scores)
        every, found = [], dict[int, Candidate]()
        for i, (train, validation) in enumerate(folds):
            results = search(
                Builder(self.build_model, known.meta),
                self.space,
                known.parts,
                folds=[(train, validation)],
                metric="val_loss",
                out=None if self.out is None else Path(self.out) / f"fold_{i}",
                keep=self._most,
                **self._options(seed),
            )
            every.append(results)
            models = _models(results, self._most)
            for _, trial in results.trials.sort_values("trial").iterrows():
                number = int(trial["trial"])
                candidate = found.setdefault(number, Candidate(results.configuration(trial)))
                began, own = clock.perf_counter(), dict[str, float]()
                if number in models:
                    estimator = self._model(candidate.params, seed)
                    estimator.adopt(known, models.pop(number))
                    own = scored(scores, estimator, known.x[validation], known.y[validation])
                candidate.add(trial, own, clock.perf_counter() - began)
        return every, [found[number] for number in sorted(found)]

    @property
    def _most(self) -> int:
        """How many configurations there can be."""
        size = space_of(self.space).size
        return int(size if self.strategy == GRID else min(size, self.n_iter))

    def _refuse_what_hears(self, scores: Mapping[str, Score]) -> None:
        """Refuse what needs scores while models train, where these come from predictions."""
        name = next(each.name for each in scores.values() if not each.log)
        given = {
            f"strategy {self.strategy!r}": self.strategy not in WITHOUT_SCORES,
            **{word: getattr(self, word) is not None for word in ENDS},
        }
        for what, is_given in given.items():
            if is_given:
                raise TuningError(
                    f"scoring {name!r} is computed once all models of a fold are trained, and "
                    f"{what} needs scores before: take one of {', '.join(SAME)} or a metric of the "
                    "model"
                )

    def _options(self, seed: int) -> dict[str, Any]:
        """The keywords of `tuning.search` that are the same however scores are computed."""
        asked = {"sweep": "all", "strategy": None}
        if self.strategy != GRID:
            asked = {"strategy": self.strategy, "trials": self.n_iter}  # type: ignore[dict-item]
        same = ("time", "stop_after", "epochs_total", "start", "prior", "settings", "engine",
                "backend", "executor", "address", "trial_timeout", "cache")  # fmt: skip
        return {
            **asked,
            **{name: getattr(self, name) for name in same},
            "seed": seed,
            "workers": _workers(self.n_jobs),
            "show_progress": self.verbose > 0,
        }

    def _model(self, config: dict[str, Any], seed: int) -> KerasModel:
        """The estimator of one configuration."""
        return KerasModel(
            self.build_model,
            config,
            task=self.outputs_.task,
            n_jobs=self.n_jobs,
            random_state=seed,
            engine=self.engine,
            backend=self.backend,
            cache=self.cache,
            verbose=self.verbose,
        )

    def predict(self, X: Any) -> np.ndarray:
        """What the best model predicts: see `KerasModel.predict`."""
        return self._best("predict").predict(X)

    @available_if(has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the best model: see `KerasModel.predict_proba`."""
        found: np.ndarray = self._best("predict_proba").predict_proba(X)
        return found

    def score(self, X: Any, y: Any) -> float:
        """The score of the best model by `scoring`, and of several by the one that chose.

        Parameters
        ----------
        X : array, shape (n, ...), or data frame
        y : array, shape (n,) or (n, k)
        """
        best = self._best("score")
        if isinstance(self.scorer_, dict):
            if not isinstance(self.refit, str):
                return best.score(X, y)
            return float(self.scorer_[self.refit](best, X, y))
        found = self.scorer_(best, X, y)
        return float(found[self._chooses] if isinstance(found, Mapping) else found)

    def _best(self, method: str) -> KerasModel:
        check_is_fitted(self)
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                f"{method} takes the best model, and with refit=False there is none"
            )
        return self.best_estimator_

    def _task(self) -> Task | None:
        """What is known of the task before `fit`, too, where the loss of a model tells."""
        return super()._task() or self._told_by_loss()

    def _told_by_loss(self) -> Task | None:
        if not callable(self.build_model) or takes_meta(self.build_model):
            return None
        try:
            if self.build_model not in _tasks:
                prepare_keras(self.backend)
                model = first_model(self.build_model, self.space)
                _tasks[self.build_model] = task_of_loss(loss_of(model)[0])
            return _tasks[self.build_model]
        except Exception:  # of any type, as `fit` will raise it
            return None

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("results_", None)
        return state


def _workers(n_jobs: int | None) -> int | None:
    """The workers of a search for scikit-learn's `n_jobs`."""
    if n_jobs is None:
        return 0
    if not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise TuningError(f"n_jobs takes None, a number of workers or -1, not {quoted(n_jobs)}")
    if n_jobs > 0:
        return int(n_jobs)
    return None if n_jobs == -1 else max(1, (os.cpu_count() or 1) + 1 + int(n_jobs))


def _models(results: Results, most: int) -> dict[int, keras.Model]:
    """The trained models of a search, by the numbers of their trials."""
    if not results.trials["status"].isin(["ok"]).any():
        return {}
    numbers = [int(number) for number in results.best(most)["trial"]]
    return dict(zip(numbers, results.best_models(most), strict=True))
