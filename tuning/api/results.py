"""The results of a search: its tables, its best models, its report."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tuning.analysis.run_view import scores_of
from tuning.errors import TuningError
from tuning.problem.file import load_problem
from tuning.problem.problem import Problem
from tuning.runs.best import about, model_file
from tuning.runs.manifest import Manifest, atomic_directory, read_manifest
from tuning.runs.table import load_curves, load_results, refuse_empty

if TYPE_CHECKING:
    import keras

SHOWN = 10  # of the best trials, where results show themselves


class Results:
    """What a search found.

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
        self._temporary = temporary
        if temporary is not None:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial, as `tuning.load_results` returns it.

        Raises
        ------
        TuningError
            If the table is damaged.
        """
        return load_results(self.path)

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
        ordered = rows.sort_values(
            [problem.metric, "trial"], ascending=[problem.mode == "min", True], kind="stable"
        )
        best: pd.DataFrame = ordered.drop_duplicates("index").head(n)
        return best

    def best_model(
        self,
        strategy: str | None = None,
        *,
        build_model: Callable[[dict[str, Any]], keras.Model] | None = None,
    ) -> keras.Model:
        """The trained model of the best trial, compiled.

        Parameters
        ----------
        strategy : str, optional
            Of this one's trials alone.
        build_model : callable, optional
            What built it; needed only where Keras cannot load the model by itself and the results
            were opened anew.

        Raises
        ------
        TuningError
            If it was not kept, or cannot be loaded.
        """
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
        return [self._model(row, build_model) for _, row in self.best(n, strategy).iterrows()]

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

    def _model(
        self, row: pd.Series[Any], build_model: Callable[[dict[str, Any]], keras.Model] | None
    ) -> keras.Model:
        """The model that was kept of a row."""
        same = self.trials[self.trials["index"] == row["index"]]
        files = [
            model_file(self.path, strategy, int(number))
            for strategy, number in zip(same["strategy"], same["trial"], strict=True)
        ]
        file = next((each for each in files if each is not None), None)
        if file is None:
            raise TuningError(
                f"the model of trial {row['trial']:,} of {row['strategy']} was not kept: a search "
                f"with keep=N keeps the best N, and how_to_repeat(row) says how to train it again"
            )
        from tuning.engines.keeping import load_kept

        beside = about(file)
        if "weights_only" not in beside:
            return load_kept(file)
        return load_kept(file, self._builder(build_model, beside), beside)

    def _builder(
        self,
        build_model: Callable[[dict[str, Any]], keras.Model] | None,
        beside: Mapping[str, Any],
    ) -> Callable[[dict[str, Any]], keras.Model]:
        """What builds the model of weights that were kept alone."""
        if build_model is not None:
            return build_model
        if self._problem is None:
            source = self.manifest.problem.source
            if not source:
                raise TuningError(
                    f"only weights were kept ({beside['weights_only']}), and the run was made by "
                    "functions: best_model(build_model=…) needs the one that built the models"
                )
            self._problem = load_problem(source)
        return self._problem.build_model
