"""The time left, and how it is said."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tuning.driver import Pack
from tuning.problem import Work
from tuning.progress import TerminalProgress, TimeLeft, duration


def seconds(work: Work) -> tuple[float, list[float]]:
    """As the model of the time left has it: 1.5 s, 0.1 s an epoch, 0.5 s a second guessed."""
    epoch = 0.1 + 0.5 * work.seconds / work.epochs
    return 1.5 + epoch * work.epochs, [epoch] * work.epochs


def test_nothing_is_said_before_anything_was_seen():
    left = TimeLeft()
    left.plan(Work(0.1, 1))
    assert left.seconds(2) is None


@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(1, 12)), min_size=3, max_size=20))
def test_after_two_kinds_it_is_exact(trials):
    works = [Work(each * epochs, epochs) for each, epochs in [(0.1, 2), (0.4, 3), *trials]]
    left = TimeLeft()
    for work in works:
        left.plan(work)
    for work in works[:2]:
        left.observe(work, *seconds(work))
    rest = sum(seconds(work)[0] for work in works[2:])
    assert left.seconds(1) == pytest.approx(rest, rel=1e-6)
    assert left.seconds(2) == pytest.approx(max(1.0, rest / 2), rel=1e-6)
    assert left.seconds(2, since=rest) == 1.0


def test_of_one_kind_the_rest_takes_in_proportion_to_its_guess():
    left = TimeLeft()
    for guess in (0.4, 0.4, 0.1):
        left.plan(Work(guess, 2))
    for _ in range(2):
        left.observe(Work(0.4, 2), 6.0, [2.0, 2.0])
    assert left.seconds(1) == pytest.approx(2.0 + 1.0)


def test_a_pack_that_is_halved_starts_twice():
    progress = TerminalProgress(
        4, workers=1, metric="val_accuracy", mode="max", console=Console(file=io.StringIO())
    )
    work = Work(0.4, 4)
    for _ in range(2):
        progress.planned(Pack([0, 1], work))
    progress._time_left.observe(work, *seconds(work))
    assert progress._time_left.seconds(1) == pytest.approx(seconds(work)[0])
    progress.halved()
    assert progress._time_left.seconds(1) == pytest.approx(seconds(work)[0] + 1.5)


def test_a_trial_that_failed_at_once_does_not_break_it():
    left = TimeLeft()
    left.plan(Work(0.1, 1))
    left.plan(Work(0.1, 1))
    left.observe(Work(0.1, 1), 0.1, [])
    assert left.seconds(1) is None


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"),
        (7800, "2 h 10 min"), (24 * 86400, "24 d 0 h"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_do(length, said):
    assert duration(length) == said
