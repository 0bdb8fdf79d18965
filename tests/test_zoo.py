"""Packs of every kind of model equal plain Keras: problem files as people write them.

Each file of tests/zoo says how many programs its grid comes to, and which engine trains it.
"""

import ast
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import evaluated_apart, packing_of, train_pack, trial_at
from tests.plain import train_plainly
from tuning.engines.batches import Split
from tuning.engines.fit import evaluated
from tuning.engines.keeping import Keep
from tuning.engines.models import compiled_model
from tuning.engines.saving import build
from tuning.engines.vectorized import look_at
from tuning.execution.worker import Job, train
from tuning.packing.trace import draws_noise
from tuning.problem.problem import load_data
from tuning.trial import batch_size

FILES = sorted(Path(__file__).parent.glob("zoo/[a-z]*.py"))
EVERY = 28  # one in so many is in the default run, the others in -m slow
AVERAGED = ("ema_momentum", "ema_overwrite")
RANDOM_SCORES = (  # what is traced again is another, and noise in scoring another than in a pack
    "fit_count_at_trace",
    "fit_random_at_trace",
    "variational_autoencoder",
)
LOW_PRECISION = {"mixed_bfloat16": 3e-3, "loss_scale_float16": 3e-3}

pytestmark = pytest.mark.usefixtures("worker")


def cases() -> list:
    return [
        pytest.param(path, id=path.stem, marks=[] if i % EVERY == 0 else pytest.mark.slow)
        for i, path in enumerate(FILES)
    ]


def said(path: Path, name: str) -> object:
    """The value of one of the names in capitals in a file."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path.name} does not say {name}")


@pytest.mark.parametrize("path", cases())
@pytest.mark.filterwarnings("ignore")
def test_every_row_of_a_pack_is_what_plain_keras_gives(path):
    problem, packing = packing_of(path)
    data = load_data(problem)
    trials = list(range(problem.grid.size))
    outcomes = train_pack(problem, data, trials, 0, packing)
    assert {(each.status, each.error) for each in outcomes} == {("ok", "")}
    if said(path, "ENGINE") == "fit":
        assert all(each.engine.startswith("fit") for each in outcomes) or packing.reason
        return
    assert {each.engine for each in outcomes} == {"vectorized"}
    programs, looks = [], []
    for drawn in (False, True):  # whether noise of strength 0 is
        looks = [look_at(problem, data, problem.grid[i], 0, drawn=drawn) for i in trials]
        sizes = [batch_size(problem.grid[i]) for i in trials]
        programs.append(len({(look.key, n) for look, n in zip(looks, sizes, strict=True)}))
    assert min(programs) == said(path, "PROGRAMS")
    for trial, outcome, look in zip(trials, outcomes, looks, strict=True):
        if draws_noise(look.train.body) or draws_noise(
            look.test.body
        ):  # by another hash than Keras'
            (alone,) = train_pack(problem, data, [trial], 0, packing)
            expected = alone.metrics
        else:
            expected = train_plainly(problem, data, trial, 0)
        assert set(outcome.metrics) == set(expected)
        for name, value in expected.items():
            tolerance = LOW_PRECISION.get(path.stem, 1e-4)
            np.testing.assert_allclose(
                outcome.metrics[name], value, rtol=tolerance, atol=1e-6, err_msg=f"{trial} {name}"
            )


@pytest.mark.parametrize("path", cases())
@pytest.mark.filterwarnings("ignore")
def test_the_best_model_is_kept_and_scores_as_its_row_without_tuning(path, tmp_path):
    problem, packing = packing_of(path)
    data = load_data(problem)
    trials = [trial_at(problem, index) for index in range(problem.grid.size)]
    keep = Keep("val_loss", "min", wanted={t.key: (("all", t.number),) for t in trials})
    reports = list(train(problem, data, trials, Job(0, "jax", packing=packing), keep=keep))
    outcomes = [outcome for report in reports for outcome in report.outcomes]
    best = min(outcomes, key=lambda o: (o.metrics["val_loss"], o.trial.number))
    kept = [model for report in reports for model in report.models][-1]
    assert (kept.trial, [name for name, _ in kept.wanted]) == (best.trial, ["all"])
    assert kept.plain == (not kept.why)
    splits = {"test": data["test"], "val": data["validation"]}
    if path.stem in AVERAGED:  # at the end of `fit`, behind the last validation
        del splits["val"]
    file = tmp_path / ("kept.keras" if kept.plain else "kept.weights.h5")
    file.write_bytes(kept.content)
    if kept.plain:
        scores = evaluated_apart({file: (splits, best.trial.batch_size)})[file]
        assert "error" not in scores, scores
    else:
        model = compiled_model(problem, best.trial.configuration, best.trial.seed)
        build(model, data, best.trial)
        model.load_weights(file)
        scores = {
            f"{name}_{score}": value
            for name, split in splits.items()
            for score, value in evaluated(
                model, Split(split).batches(best.trial.batch_size)
            ).items()
        }
    if path.stem in RANDOM_SCORES:
        return
    tolerance = LOW_PRECISION.get(path.stem, 1e-5)
    for name, value in scores.items():
        np.testing.assert_allclose(
            value, best.metrics[name], rtol=tolerance, atol=1e-6, err_msg=f"{name} ({kept.why})"
        )


def test_the_zoo_is_large_enough():
    assert len(FILES) >= 60
    assert all(said(path, "PROGRAMS") >= 1 for path in FILES)
