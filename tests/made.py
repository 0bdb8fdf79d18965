"""Runs made without training, as files a driver would have written."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tuning import Grid, RandomSampler, Space
from tuning.analysis.grid_scores import GridScores, grid_scores
from tuning.runs.manifest import Machine, Manifest, ProblemFacts, read_manifest
from tuning.runs.run import Run
from tuning.runs.table import load_results
from tuning.samplers import FINISHED, WAIT, Sampler, every_trial, trial_at
from tuning.samplers.protocol import Signal
from tuning.trial import Outcome, Trial, epochs

AXES = {
    "width": [8, 16],
    "activation": ["relu", None],
    "rate": [0.1, 0.01, 0.001],
    "epochs": [1, 2],
}

Score = Callable[[dict, int], float | None]


def by_rate(configuration: dict, index: int) -> float:
    """Scores with effects of its own, and no two trials alike."""
    rate = AXES["rate"].index(configuration["rate"])
    return 0.9 + 0.02 * rate + 0.01 * (configuration["width"] == 16) + 0.0001 * index


def manifest_of(
    axes: dict, seed: int = 0, mode: str = "max", has_test: bool = True, **problem: object
) -> Manifest:
    facts = {
        "name": "made",
        "source": "made.py",
        "metric": "val_accuracy",
        "mode": mode,
        "axes": axes,
        "fingerprint": {"code": "c", "model": "m", "data": "d"},
        "references": [],
        **problem,
    }
    return Manifest(
        created_at="2026-01-01T00:00:00Z",
        problem=ProblemFacts(**facts),
        metrics=["loss", "accuracy"],
        seed=seed,
        engine="auto",
        backend="jax",
        strategies={"sweep": {"points": "all", "order": "grid"}},
        splits=["train", "validation", *(["test"] if has_test else [])],
        versions={"python": "3.11"},
        machine=Machine("p", "c", 2),
    )


def outcome_of(trial: Trial, score: float | None, has_test: bool = True) -> Outcome:
    if score is None:
        return Outcome(trial, "diverged", "vectorized", "jax", error="the loss was <inf>")
    metrics = {
        f"{split}_{name}": value
        for split, less in (("val", 0.0), ("test", 0.01), ("train", -0.01))
        for name, value in (("loss", 1 - score + less), ("accuracy", score - less))
        if has_test or split != "test"
    }
    curve = [
        {"loss": 1.0, "val_loss": 1.0 / epoch, "val_accuracy": 0.5 + 0.01 * epoch}
        for epoch in range(1, trial.epochs + 1)
    ]
    return Outcome(trial, "ok", "vectorized", "jax", metrics, curve, 0.5)


def write_run(
    folder: Path,
    score: Score = by_rate,
    *,
    trials: Iterable[int] | None = None,
    axes: dict | None = None,
    name: str = "run",
    seed: int = 0,
    has_test: bool = True,
    **problem: object,
) -> Path:
    """A run of the configurations at these indices, which score as a function of both says."""
    axes = AXES if axes is None else axes
    grid = Grid(axes)
    path = folder / name
    with Run.create(path, manifest_of(axes, seed, has_test=has_test, **problem)) as run:
        for number, index in enumerate(range(grid.size) if trials is None else trials):
            configuration = grid[index]
            trial = Trial(number, configuration, seed, epochs(configuration), index)
            outcome = outcome_of(trial, score(configuration, index), has_test)
            run.count([("sweep", outcome)])
    return path


def write_run_of_space(
    folder: Path, space: Space, n: int = 8, *, name: str = "run", seed: int = 0, **problem: object
) -> Path:
    """A run of n random configurations of a space that is no grid, which score by their number."""
    facts = {"space": space.describe(), **problem}
    path = folder / name
    manifest = replace(
        manifest_of({name: [] for name in space.parameters}, seed, **facts),
        strategies={"random": {"trials": n}},
    )
    with Run.create(path, manifest) as run:
        for trial in every_trial(RandomSampler(space, n, seed)):
            run.count([("random", outcome_of(trial, 0.5 + 0.01 * trial.number))])
    return path


def grid_scores_of(path: Path) -> GridScores:
    return grid_scores(load_results(path), read_manifest(path))


class Climber(Sampler):
    """Climbs from the best trial so far, of those that are old enough: a strategy that learns.

    Trial k depends on the outcomes of trials 0 to k - LAG alone, whoever trains them and when.
    """

    LAG = 4

    def __init__(self, space: Grid, trials: int, seed: int) -> None:
        self.n_trials = trials
        self._space, self._seed = space, seed
        self._scores: list[tuple[float, int]] = []
        self._asked = 0

    def ask(self, n: int) -> list[Trial] | Signal:
        if self._asked == self.n_trials:
            return FINISHED
        trials = []
        while len(trials) < n and self._asked < self.n_trials:
            if self._asked >= len(self._scores) + self.LAG:
                break
            trials.append(trial_at(self._space, self._next(), self._asked, self._seed))
            self._asked += 1
        return trials or WAIT

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            assert outcome.trial.number == len(self._scores)
            self._scores.append((outcome.metrics.get("val_accuracy", 0.0), outcome.trial.index))

    def _next(self) -> int:
        known = self._scores[: max(0, self._asked - self.LAG)]
        best = max(known)[1] if known else 0
        return (best + 7 * self._asked + self._seed) % self._space.size
