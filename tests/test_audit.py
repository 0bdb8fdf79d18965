"""`docs/lifted.md` is what Keras' numbers are, and what it calls lifted trains as plain Keras."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import audit
from tests.audit import BATCH_SIZE, EPOCHS, Case, Row
from tests.conftest import train_pack
from tuning import Problem
from tuning.compatibility.keras import build_state
from tuning.packing.axes import Axis, Packing
from tuning.problem import Data
from tuning.training.batches import row_order
from tuning.training.fit import compiled_model
from tuning.training.outcome import Outcome

pytestmark = pytest.mark.usefixtures("worker")

PAGE = Path(__file__).resolve().parent.parent / "docs" / "lifted.md"
ROWS = audit.rows_of(PAGE.read_text())
LONG = ("AugMix", "RandAugment")  # 16,000 operations: 2 s to trace, 140 s to compile for a pack
SOME = [i for i in range(0, len(ROWS), 20) if ROWS[i].name not in LONG]
LIFTED = [row for row in ROWS if row.verdict == "lifted" and row.name not in LONG]
SOME_LIFTED = (
    "Adam.ema_momentum", "SGD.clipnorm", "CosineDecay.decay_steps", "Huber.delta",
    "BatchNormalization.momentum", "Dropout.rate", "LeakyReLU.negative_slope", "L1L2.l2",
    "MinMaxNorm.rate", "RandomNormal.stddev", "FBetaScore.beta",
)  # fmt: skip
SEED = 3


@pytest.fixture(scope="module")
def cases(worker: None) -> list[Case]:
    """All cases, if the page was written for what is installed."""
    if audit.versions() not in PAGE.read_text():
        pytest.skip(f"{PAGE.name} was not written for {audit.versions()}")
    return audit.cases()


def test_the_page_has_all_classes_and_numbers_and_counts_them(cases: list[Case]) -> None:
    assert [row[:3] for row in ROWS] == [(c.kind, c.name, c.argument) for c in cases]
    assert audit.page(ROWS) == PAGE.read_text().rstrip("\n")
    assert {row.verdict for row in ROWS} <= set(audit.VERDICTS[:-1])


def same_row(cases: list[Case], i: int) -> None:
    assert audit.examined(cases[i]) == ROWS[i]


@pytest.mark.parametrize("i", SOME, ids=lambda i: f"{ROWS[i].name}-{ROWS[i].argument}")
def test_a_row_is_what_it_was(cases: list[Case], i: int) -> None:
    same_row(cases, i)


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(ROWS)), ids=lambda i: f"{ROWS[i].name}-{ROWS[i].argument}")
def test_each_row_is_what_it_was(cases: list[Case], i: int) -> None:
    same_row(cases, i)


def by_keras(problem: Problem, data: Data, trial: int) -> list[dict[str, float]]:
    """The logs of each epoch and of the test, by the steps of Keras' model and nothing of ours."""
    import jax

    model = compiled_model(problem, problem.grid[trial], SEED)
    x, y = (np.asarray(part) for part in data["train"])
    build_state(model, (x[:BATCH_SIZE], y[:BATCH_SIZE]))
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state: Any = tuple([variable.value for variable in group] for group in groups)
    metrics = state[3]
    train_step, test_step = jax.jit(model.train_step), jax.jit(model.test_step)
    told = []
    for epoch in range(EPOCHS):
        order = row_order(SEED, epoch, len(x))
        state = (*state[:3], metrics)
        for start in range(0, len(x), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            logs, state = train_step(state, (x[rows], y[rows]))
        scores, after = test_step((state[0], state[1], metrics), data["validation"])
        state = (state[0], after[1], state[2], state[3])
        told.append({**logs, **{f"val_{name}": value for name, value in scores.items()}})
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    final = [[variable.value for variable in group] for group in groups[:2]]
    scores, _ = test_step((*final, metrics), data["test"])
    told.append({f"test_{name}": value for name, value in scores.items()})
    return [_in_floats(logs) for logs in told]


def _in_floats(logs: dict[str, Any]) -> dict[str, float]:
    """Logs as a run has them: of a score for each class, each by its number."""
    found: dict[str, float] = {}
    for name, value in logs.items():
        flat = np.ravel(value)
        names = [name] if flat.size == 1 else [f"{name}_{i}" for i in range(flat.size)]
        found |= dict(zip(names, map(float, flat), strict=True))
    return found


def told_by(outcome: Outcome) -> list[dict[str, float]]:
    """The logs of each epoch and of the test, of a member of a pack."""
    assert outcome.engine == "vectorized"
    tests = {k: v for k, v in outcome.metrics.items() if k.startswith("test_")}
    return [*outcome.curve, tests] if tests else list(outcome.curve)


def members(case: Case, row: Row) -> tuple[list[Any], list[Any]]:
    """What the members of a pack tell, and what is told of each alone."""
    context = audit.context_of(case)
    assert isinstance(context, audit.Context)
    problem, data = case.problem(context), context.data()
    drawn = row.zero == "lifted, drawn"
    axes = {"batch_size": "structural", "epochs": "fidelity", "value": "lifted"}
    packing = Packing({name: Axis(kind, "") for name, kind in axes.items()}, drawn=drawn)  # type: ignore[arg-type]
    count = 3 if row.zero.startswith("lifted") else 2
    fixed = {"batch_size": BATCH_SIZE, "epochs": EPOCHS}
    trials = [problem.grid.index({**fixed, "value": i}) for i in range(count)]
    train = functools.partial(train_pack, problem, data, seed=SEED, packing=packing)
    packed = [told_by(outcome) for outcome in train(trials=trials)]
    alone = [
        told_by(*train(trials=[trial]))
        if case.noisy and not (drawn and i == 2)
        else by_keras(problem, data, trial)
        for i, trial in enumerate(trials)
    ]
    return packed, alone


def same_alone(case: Case, row: Row) -> None:
    packed, alone = members(case, row)
    for ours, theirs in zip(packed, alone, strict=True):
        assert ours
        for logs, others in zip(ours, theirs, strict=False):
            assert logs == pytest.approx(others, rel=1e-4, abs=1e-6, nan_ok=True)


def _case(cases: list[Case], row: Row) -> Case:
    return next(case for case in cases if (case.kind, case.name, case.argument) == row[:3])


@pytest.mark.parametrize(
    "row",
    [row for row in LIFTED if f"{row.name}.{row.argument}" in SOME_LIFTED],
    ids=lambda row: f"{row.name}-{row.argument}",
)
def test_what_is_lifted_trains_as_by_plain_keras(cases: list[Case], row: Row) -> None:
    same_alone(_case(cases, row), row)


@pytest.mark.slow
@pytest.mark.parametrize("row", LIFTED, ids=lambda row: f"{row.name}-{row.argument}")
def test_all_that_is_lifted_trains_as_by_plain_keras(cases: list[Case], row: Row) -> None:
    same_alone(_case(cases, row), row)
