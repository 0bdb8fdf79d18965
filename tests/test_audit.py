"""`docs/lifted.md` is what Keras' numbers are, and what it calls lifted trains as plain Keras."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from tests import audit
from tests.audit import BATCH_SIZE, EPOCHS, Case, Row
from tests.conftest import train_pack
from tests.plain import train_plainly
from tuning.packing.axes import Axis, Packing

pytestmark = pytest.mark.usefixtures("worker")

PAGE = Path(__file__).resolve().parent.parent / "docs" / "lifted.md"
ROWS = audit.rows_of(PAGE.read_text())
LONG = ("AugMix", "RandAugment")  # 16,000 operations: 2 s to trace, 140 s to compile for a pack
SOME = [i for i in range(0, len(ROWS), 40) if ROWS[i].name not in LONG]
LIFTED = [row for row in ROWS if row.verdict == "lifted" and row.name not in LONG]
SOME_LIFTED = (
    "SGD.clipnorm", "CosineDecay.decay_steps", "Huber.delta", "BatchNormalization.momentum",
    "Dropout.rate", "MinMaxNorm.rate", "FBetaScore.beta",
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


def members(case: Case, row: Row) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """The scores of the members of a pack, and of each alone."""
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
    outcomes = train(indices=trials)
    assert {outcome.engine for outcome in outcomes} == {"vectorized"}
    alone = [
        train(indices=[trial])[0].metrics
        if case.noisy and not (drawn and i == 2)
        else train_plainly(problem, data, trial, SEED)
        for i, trial in enumerate(trials)
    ]
    return [outcome.metrics for outcome in outcomes], alone


def same_alone(case: Case, row: Row) -> None:
    packed, alone = members(case, row)
    for ours, theirs in zip(packed, alone, strict=True):
        if ours:  # of one that diverged there are no scores
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6, nan_ok=True)


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
