"""The results of a search: its tables, its best models, its report."""

from __future__ import annotations

import html
import io
import shutil
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console

from tuning.analysis.choice import choice_of_all
from tuning.analysis.finalists import FINALIST, ranked_finalists
from tuning.analysis.run_view import scores_of
from tuning.api.ensembles import BEST, check_ensemble, kept_rows, make_ensemble, same_data
from tuning.engines.repeat import lines_to_repeat, written
from tuning.errors import TuningError, first_line, quoted
from tuning.execution.quiet import quiet
from tuning.problem.data import map_arrays
from tuning.problem.file import load_problem
from tuning.problem.fingerprint import READ_BY_DATA
from tuning.problem.problem import Problem
from tuning.problem.unread import kind_of_name
from tuning.problem.variants import load_for
from tuning.problem.weighing import BALANCED, CLASS_WEIGHT, WEIGHINGS
from tuning.report.analyse import print_comparison
from tuning.report.terminal import WIDTH
from tuning.runs.best import PLAIN, about_model, model_file
from tuning.runs.columns import configuration_of_row, point_of_row
from tuning.runs.ensembles import read_ensemble
from tuning.runs.finalists import FOLDER, load_finalists
from tuning.runs.manifest import (
    Manifest,
    ProblemFacts,
    atomic_directory,
    is_lost,
    read_manifest,
)
from tuning.runs.outcomes import outcomes_of
from tuning.runs.parts import load_parts
from tuning.runs.table import load_curves, load_results, points_of, refuse_empty
from tuning.runs.typed import shown
from tuning.space.labels import from_json
from tuning.trial import Outcome

if TYPE_CHECKING:
    import keras

TRIALS, FINALISTS = "trials", "finalists"  # among which a choice is made
OF_TRIAL = ("strategy", "trial")
SHOWN = 10  # of the best trials, where results show themselves


class Shown:
    """A text that shows itself as HTML in a notebook.

    Parameters
    ----------
    text, markup : str
    """

    def __init__(self, text: str, markup: str) -> None:
        self._text, self._markup = text, markup

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{self._markup}<pre>{html.escape(self._text)}</pre>"


class Results:
    """The tables, models and report of a search.

    Parameters
    ----------
    path : Path
        The run directory.
    problem : Problem, optional
        That it searched; what its manifest names unless told.
    temporary : Path, optional
        A directory to delete with the results.

    Attributes
    ----------
    path : Path
        Where the files are.
    manifest : Manifest
        What was searched, with what, on which machine.
    """

    def __init__(
        self, path: Path, *, problem: Problem | None = None, temporary: Path | None = None
    ) -> None:
        self.path = path
        self.manifest: Manifest = read_manifest(path)
        self._problem = problem
        if temporary is not None:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial, as `tuning.load_results` returns it.

        Where a trial is trained on several folds or with several seeds its scores are means;
        ``…_sd`` is the standard deviation of each among them, and ``parts`` says how many they are.

        Raises
        ------
        TuningError
            If the table is damaged.
        """
        table = load_results(self.path)
        return table if self.parts.empty else table.merge(self._spread(), "left", [*OF_TRIAL])

    @cached_property
    def parts(self) -> pd.DataFrame:
        """One row for each fold and seed of each trial, as `tuning.runs.parts.load_parts` has them.

        Empty where a trial is one training.

        Raises
        ------
        TuningError
            If the table is damaged.
        """
        return load_parts(self.path)

    def _spread(self) -> pd.DataFrame:
        """The number of each trial's parts, and the standard deviation of each score among them."""
        columns = list(self.parts)
        names = columns[columns.index("status") + 1 : columns.index("train_seconds")]
        groups = self.parts.groupby([*OF_TRIAL])
        deviations = groups[names].std(ddof=1).add_suffix("_sd")
        return deviations.assign(parts=groups.size()).reset_index()

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row an epoch, as `tuning.load_curves` returns it.

        Raises
        ------
        TuningError
            If the table is damaged.
        """
        return load_curves(self.path)

    def best(self, n: int = 1, strategy: str | None = None) -> pd.DataFrame:
        """The best trials, the best first; of equals the one that was asked for first.

        Parameters
        ----------
        n : int
        strategy : str, optional
            Of this one alone; of all unless told.

        Returns
        -------
        DataFrame
            At most n rows of `trials`, each configuration once.

        Raises
        ------
        TuningError
            If no trial has a result.
        """
        ranked = self._ranked(strategy)
        again = points_of(ranked, self.manifest.space).duplicated()
        best: pd.DataFrame = ranked[~again].head(n)
        return best

    def _ranked(self, strategy: str | None = None) -> pd.DataFrame:
        """All trials with a result, the best first."""
        refuse_empty(self.trials, self.path)
        problem, rows = self.manifest.problem, self.trials
        if strategy is not None:
            rows = rows[rows["strategy"] == strategy]
        rows = rows[np.isfinite(scores_of(rows, problem.metric))]
        if rows.empty:
            whose = f"of the strategy {strategy!r} " if strategy else ""
            raise TuningError(
                f"no trial {whose}has a result: the column error of the table says why"
            )
        ranked: pd.DataFrame = rows.sort_values(
            [problem.metric, "trial"], ascending=[problem.mode == "min", True], kind="stable"
        )
        return ranked

    def finalists(self) -> pd.DataFrame:
        """The finalists of a search with ``finalists=N``, by their mean over other seeds.

        Returns
        -------
        DataFrame
            The best first: as `tuning.analysis.finalists.ranked_finalists` returns it. No rows
            without finalists. `tuning.runs.finalists.load_finalists` has their trainings one by
            one.

        Raises
        ------
        TuningError
            If the table is damaged.
        """
        return ranked_finalists(load_finalists(self.path), self.trials, self.manifest)

    def configuration(
        self, row: pd.Series[Any] | int, strategy: str | None = None
    ) -> dict[str, Any]:
        """The configuration of a trial, with the values themselves where the table has labels.

        Parameters
        ----------
        row : Series or int
            A row of `trials`, or a trial's number.
        strategy : str, optional
            As for `how_to_repeat`.

        Returns
        -------
        dict
            What `build_model` was called with. Of a run that was opened, the values that JSON can
            carry; a function, class or other object is taken from the problem's file, if the run
            has one, and is else its label, of which a warning says so.

        Raises
        ------
        TuningError
            If there is no such trial.
        """
        configuration = self._outcome(row, strategy).trial.configuration
        lost = self.manifest.lost(configuration)
        if self._problem is None and not lost:
            return self.manifest.space.values(configuration)
        if self._problem is None and not self.manifest.problem.source:
            warnings.warn(f"{_names_alone(lost)}: their values are not in the run", stacklevel=2)
            return self.manifest.space.values(configuration)
        problem = self._problem_of("a configuration has values of the problem's file")
        return problem.space.values(configuration)

    def choice(self, strategy: str | None = None, *, of: str = TRIALS) -> pd.Series[Any]:
        """The trial that the results speak for, and what to expect of it on new data.

        The best single score of many is lucky as well as good. This one is chosen by scores that
        are smoothed over epochs, and towards what similar configurations came to: see
        `tuning.analysis.choice`.

        Parameters
        ----------
        strategy : str, optional
            Of this one's trials alone; of all unless told. Finalists are of all.
        of : {"trials", "finalists"}
            Whether to choose among all trials, or the finalist with the best mean over its seeds.

        Returns
        -------
        Series
            A row of `trials`, and with it ``expected``, what the metric that chooses should be, and
            ``deviation``, the standard deviation of such trials around that; of a finalist that
            between its seeds.

        Raises
        ------
        TuningError
            If there are fewer than three trials with a result, or no finalists.
        """
        if _is_of_finalists(of, strategy):
            best, metric = self._best_finalist(), self.manifest.problem.metric
            names = {"expected": f"{metric}_expected", "deviation": f"{metric}_std"}
            told = {str(name): best[str(name)] for name in self.trials}
            return pd.Series(told | {name: best[column] for name, column in names.items()})
        rows = self.trials
        if strategy is not None:
            rows = rows[rows["strategy"] == strategy]
        found = choice_of_all(rows, self.curves, self.manifest)
        if found is None:
            raise TuningError("too few trials have a result to choose by: it takes three")
        expectation = {"expected": found.expected, "deviation": found.deviation}
        row: pd.Series[Any] = pd.concat([found.row, pd.Series(expectation)])
        return row

    def best_model(
        self,
        strategy: str | None = None,
        *,
        of: str = TRIALS,
        build_model: Callable[[dict[str, Any]], keras.Model] | None = None,
    ) -> keras.Model:
        """The trained model of the best trial, compiled.

        Parameters
        ----------
        strategy : str, optional
            Of this one's trials alone.
        of : {"trials", "finalists"}
            Whether the trial with the best score of the search, or the finalist with the best mean
            over its seeds: of these the model of the best one by validation.
        build_model : callable, optional
            What built it; needed only where Keras cannot load the model by itself and the results
            were opened anew.

        Raises
        ------
        TuningError
            If it was not kept, or cannot be loaded.
        """
        if _is_of_finalists(of, strategy):
            best = self._best_repeat(self._best_finalist()[FINALIST])
            name = str(best["strategy"]), int(best["trial"])
            return self._model(self.path / FOLDER, [name], best, build_model)
        (model,) = self.best_models(1, strategy, build_model=build_model)
        return model

    def best_models(
        self,
        n: int,
        strategy: str | None = None,
        *,
        build_model: Callable[[dict[str, Any]], keras.Model] | None = None,
    ) -> list[keras.Model]:
        """The trained models of the best n trials, the best first.

        Parameters
        ----------
        n : int
            At most as many as were kept: `keep` of the search.
        strategy, build_model
            As for `best_model`.

        Raises
        ------
        TuningError
            If one was not kept, or cannot be loaded.
        """
        rows = [row for _, row in self.best(n, strategy).iterrows()]
        return [self._model(self.path, self._same(row), row, build_model) for row in rows]

    def ensemble(self, k: int, selection: str = BEST, *, bags: int = 0) -> keras.Model:
        """One model whose outputs are the means of those of the best models that were kept.

        It is a plain Keras model of the kept ones, which are frozen, and is compiled as they are,
        so that `evaluate` works. It is written into the run, over an earlier one, as
        ``ensemble.keras``, which Keras loads without `tuning`; its scores are in `ensemble_scores`
        and in the report. What the models return is averaged, of several outputs each: where they
        return logits, the logits.

        Parameters
        ----------
        k : int
            How many of the best models: the search has to have kept as many.
        selection : {"best", "greedy"}
            Whether to take each of the k once, or any of them any number of times, by greedy
            selection with replacement on the validation rows (Caruana et al., ICML 2004). The test
            rows never select.
        bags : int
            Of a greedy selection: how many times to select among half of the models, drawn at
            random, in place of once among all.

        Raises
        ------
        TuningError
            If fewer were kept, one cannot be loaded, or the data is not there or has changed.
        RunStopped
            If the disk does not take it.
        """
        check_ensemble(k, selection, bags)
        rows = kept_rows(self.path, self._ranked(), self.manifest, k)
        source = self.manifest.problem.source
        if self._problem is None and not source:
            raise TuningError(
                "an ensemble is scored on the data, and the run was made by functions: take the "
                "results that tuning.search returned, or call it again with the same out"
            )
        problem = self._problem or load_problem(source)
        space = self.manifest.space
        chosen = [configuration_of_row(dict(row), space) for _, row in rows.iterrows()]
        data = same_data(self.path, problem, self.manifest, chosen)
        members = {}
        for _, row in rows.iterrows():
            trial = str(row["strategy"]), int(row["trial"])
            members[trial] = self._model(self.path, [trial], row, None)
        how: dict[str, Any] = {"selection": selection, "bags": bags}
        with quiet():
            return make_ensemble(self.path, members, data, self.manifest, **how)

    def ensemble_scores(self) -> pd.DataFrame:
        """The scores of the ensemble that was made last, and of the best single model.

        Returns
        -------
        DataFrame
            The rows ``ensemble`` and ``best``; a column for each metric on validation and, where
            there is some, on test data. Penalties on weights are in neither loss.

        Raises
        ------
        TuningError
            If none was made.
        """
        if (known := read_ensemble(self.path)) is None:
            raise TuningError("the run has no ensemble: results.ensemble(k) makes one")
        names = [name for name in self.trials if name in known.scores]  # in the table's order
        return pd.DataFrame([known.scores, known.best], ["ensemble", "best"], names)

    def report(self) -> Shown:
        """A report in words and tables: text in a terminal, HTML in a notebook.

        Raises
        ------
        TuningError
            If there are no trials.
        """
        text = io.StringIO()
        console = Console(
            file=text, width=WIDTH, force_terminal=False, force_jupyter=False,
            emoji=False, markup=False, highlight=False,
        )  # fmt: skip
        print_comparison(self.path, console, write=False)
        return Shown(text.getvalue().strip("\n"), self._repr_html_())

    def how_to_repeat(self, row: pd.Series[Any] | int, strategy: str | None = None) -> str:
        """The lines of plain Keras that train a trial again and give its scores.

        Parameters
        ----------
        row : Series or int
            A row of `trials`, or a trial's number.
        strategy : str, optional
            Whose trial the number is; needed only where several strategies have one.

        Raises
        ------
        TuningError
            If there is no such trial, or it is the mean of several trainings.
        """
        trial = self._outcome(row, strategy).trial
        if (size := self.manifest.copies.size) > 1:
            raise TuningError(
                f"a trial of this run is the mean of {size} trainings, which no few lines repeat"
            )
        source, space = self.manifest.problem.source, self.manifest.space
        space = space if self._problem is None else self._problem.space
        if source and self.manifest.lost(trial.configuration):
            config = f"problem.space.values({trial.configuration})"
        else:
            config = written(space.values(trial.configuration))
        return lines_to_repeat(
            trial,
            config=config,
            imports=_imports(source, self.manifest.problem),
            weights=_weights(self.manifest.problem, space.values(trial.configuration)),
            callbacks=self._callbacks(),
            test="test" in self.manifest.splits,
            of_configuration=READ_BY_DATA in self.manifest.problem.fingerprint,
        )

    def _outcome(self, row: pd.Series[Any] | int, strategy: str | None) -> Outcome:
        """The outcome of a row of `trials`, or of a trial's number."""
        if isinstance(row, int):
            rows = self.trials[self.trials["trial"] == row]
            rows = rows if strategy is None else rows[rows["strategy"] == strategy]
            if len(rows) != 1:
                which = "no trial" if rows.empty else "several strategies have a trial"
                raise TuningError(f"{which} {row:,}: take a row of results.trials")
            row = rows.iloc[0]
        (outcome,) = outcomes_of(row.to_frame().T, self.manifest)
        return outcome

    def __repr__(self) -> str:
        problem = self.manifest.problem
        return (
            f"Results({len(self.trials):,} trials of {problem.name}, chosen by {problem.metric}; "
            f"in {str(shown(self.path))!r})"
        )

    def _repr_html_(self) -> str:
        axes = list(self.manifest.problem.axes)
        scores = [name for name in self.trials if str(name).startswith(("val_", "test_"))]
        try:
            best = self.best(SHOWN)[["strategy", "trial", *scores, *axes, "train_seconds"]]
        except TuningError as error:
            return f"<p>{html.escape(str(error))}</p>"
        return f"<p>{html.escape(repr(self))}</p>{best.to_html(index=False)}"

    def save(self, path: str | Path) -> Results:
        """Copy the run to a directory that stays.

        Parameters
        ----------
        path : str or Path
            A new directory.

        Returns
        -------
        Results
            Those there.

        Raises
        ------
        TuningError
            If the path is taken or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise TuningError(f"{path} is there already: name a new directory")
        try:
            with atomic_directory(path) as draft:
                shutil.copytree(self.path, draft, dirs_exist_ok=True)
        except OSError as error:
            raise TuningError(f"cannot make {path}: {error.strerror or error}") from error
        return Results(path, problem=self._problem)

    def _best_finalist(self) -> pd.Series[Any]:
        """The row of the finalist with the best mean."""
        found = self.finalists()
        if found.empty:
            raise TuningError(
                "the run has no finalists: a search with finalists=N trains its N best "
                "configurations again with other seeds"
            )
        best: pd.Series[Any] = found.iloc[0]
        return best

    def _best_repeat(self, name: str) -> pd.Series[Any]:
        """The row of the training of a finalist whose model is kept."""
        rows, problem = load_finalists(self.path), self.manifest.problem
        own = rows[(rows["strategy"] == name) & np.isfinite(scores_of(rows, problem.metric))]
        by = [problem.metric, "trial"]
        best: pd.Series[Any] = own.sort_values(by, ascending=[problem.mode == "min", True]).iloc[0]
        return best

    def _same(self, row: pd.Series[Any]) -> list[tuple[str, int]]:
        """The strategies and numbers of a row's trial and of all others of its configuration."""
        space = self.manifest.space
        same = self.trials[points_of(self.trials, space) == point_of_row(dict(row), space)]
        return [(str(name), int(n)) for name, n in same[["strategy", "trial"]].to_numpy()]

    def _model(
        self,
        folder: Path,
        trials: Sequence[tuple[str, int]],
        row: pd.Series[Any],
        build_model: Callable[[dict[str, Any]], keras.Model] | None,
    ) -> keras.Model:
        """The model that was kept in a folder of a row's trial, under one of these names."""
        with quiet():  # what TensorFlow says where it is imported and first used
            return self._loaded(folder, trials, row, build_model)

    def _loaded(
        self,
        folder: Path,
        trials: Sequence[tuple[str, int]],
        row: pd.Series[Any],
        build_model: Callable[[dict[str, Any]], keras.Model] | None,
    ) -> keras.Model:
        from tuning.engines.saving import load_kept, load_weights

        known = [about_model(folder, *trial) for trial in trials]
        for trial, about in zip(trials, known, strict=True):
            file = model_file(folder, *trial)
            if file is None:
                continue
            if file.suffix == PLAIN:
                try:
                    return load_kept(file)
                except Exception as error:  # of any type, as Keras and the user's code raise them
                    why = about.get("needs") or first_line(error)
                    raise TuningError(f"cannot load {file}: {why}") from error
            why = about.get("weights_only", "see the classes of the model")
            build = build_model or self._problem_of(why).build_model
            rows = partial(self._rows, row)
            return load_weights(file, build, self._to_build(row, build_model), rows)
        why = next((about["not_kept"] for about in known if about.get("not_kept")), "")
        raise TuningError(
            f"the model of trial {row['trial']:,} of {row['strategy']} was not kept: "
            + (why or "a search with keep=N keeps the N best of each strategy")
            + "; how_to_repeat(row) says how to train it again"
        )

    def _to_build(self, row: pd.Series[Any], build_model: Any) -> dict[str, Any]:
        """The configuration of a row as `build_model` takes it."""
        configuration = configuration_of_row(dict(row), self.manifest.space)
        lost = self.manifest.lost(configuration)
        if not lost or build_model is None or self._problem is not None:
            known = self.manifest if self._problem is None else self._problem
            return known.space.values(configuration)
        raise TuningError(
            f"{_names_alone(lost)}, so that build_model cannot be given their values: take the "
            "results of tuning.search"
        )

    def _problem_of(self, why: str) -> Problem:
        """The problem of the run, with its functions."""
        if self._problem is None:
            if not (source := self.manifest.problem.source):
                raise TuningError(
                    f"only weights were kept ({why}), and the run was made by functions: "
                    "best_model(build_model=…) needs the one that built the models"
                )
            self._problem = load_problem(source)
        return self._problem

    def _callbacks(self) -> str:
        """What makes the callbacks of a training; nothing where there are none."""
        path = Path(self.manifest.problem.source)
        if self._problem is not None:
            given = self._problem.callbacks
            kind = "" if given is None else "function" if callable(given) else "value"
        else:
            kind = kind_of_name(path.read_text("utf-8"), "callbacks") if path.is_file() else ""
        name = "problem.callbacks" if self.manifest.problem.source else "callbacks"
        return {"function": f"{name}(config)", "value": name}.get(kind, "")

    def _rows(self, row: pd.Series[Any]) -> tuple[Any, ...]:
        """A row of the training data of a trial."""
        problem = self._problem_of("it has no variables before it sees data")
        data = load_for(problem, configuration_of_row(dict(row), self.manifest.space))
        first: tuple[Any, ...] = map_arrays(lambda array: array[:1], data["train"])
        return first


def _is_of_finalists(of: str, strategy: str | None) -> bool:
    """Whether a choice is asked for among finalists, and not among trials."""
    if of not in (TRIALS, FINALISTS):
        raise TuningError(f"of takes {TRIALS!r} or {FINALISTS!r}, not {quoted(of)}")
    if of == FINALISTS and strategy is not None:
        raise TuningError("finalists are those of all strategies together: leave out strategy")
    return of == FINALISTS


def _names_alone(lost: Mapping[str, str]) -> str:
    """The sentence's beginning about labels whose values are not known."""
    return f"only names are known of {', '.join(f'{name} ({each})' for name, each in lost.items())}"


def _imports(source: str, problem: ProblemFacts) -> str:
    """The lines that have the functions of a problem at hand."""
    names = ["build_model", *(name for name, value in problem.weighing.items() if is_lost(value))]
    if not source:
        searched = "as it was searched" if len(names) == 1 else "as they were searched"
        return f"# {' and '.join(names)} {searched}, and load_data, which returns the splits\n"
    names.insert(1, "load_data")
    functions = ", ".join(f"problem.{name}" for name in names)
    return f"problem = tuning.load_problem({source!r})\n{', '.join(names)} = {functions}"


def _weights(problem: ProblemFacts, config: Mapping[str, Any]) -> str:
    """The code that gives the training rows their weights; empty where they have none."""
    for name in WEIGHINGS:
        if name in config:
            value, code = config[name], f'config["{name}"]'
        elif name in problem.weighing:
            value = problem.weighing[name]
            code = name if is_lost(value) else written(from_json(value))
        else:
            continue
        if name == CLASS_WEIGHT:
            return f"tuning.row_weights(y, {f'{code}(config)' if code == name else code})"
        if value is not None:
            return f"tuning.row_weights(y, {code})" if value == BALANCED else f"{code}(x, y)"
    return ""
