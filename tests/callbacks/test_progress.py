"""The time left, and how it is said."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tuning.callbacks.terminal import TerminalProgress
from tuning.callbacks.time_left import TimeLeft
from tuning.engines.reports import Report
from tuning.packing.packs import Pack, Work
from tuning.report.terminal import duration
from tuning.trial import Trial


def pack(seconds: float, epochs: int) -> Pack:
    return Pack([Trial(0, {}, 0)], Work(seconds, epochs))


def seconds(pack: Pack) -> float:
    """As the model of the time left has it: 1.5 s, 0.1 s an epoch, 0.5 s a second guessed."""
    return 1.5 + 0.1 * pack.work.epochs + 0.5 * pack.work.seconds


def report(pack: Pack, epochs: int, besides: float = 0.0) -> Report:
    each = 0.1 + 0.5 * pack.work.seconds / pack.work.epochs
    return Report([], [each] * epochs, besides + each * epochs)


def test_nothing_is_said_before_anything_was_seen():
    left = TimeLeft()
    left.plan(pack(0.1, 1))
    assert left.seconds(2) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(1, 12)), min_size=3, max_size=20))
def test_after_two_kinds_it_is_exact(trials):
    packs = [pack(each * epochs, epochs) for each, epochs in [(0.1, 2), (0.4, 3), *trials]]
    left = TimeLeft()
    for each in packs:
        left.plan(each)
    for each in packs[:2]:
        left.observe(each, report(each, each.work.epochs, 1.5))
        left.end(each)
    rest = sum(map(seconds, packs[2:]))
    assert left.seconds(1) == pytest.approx(rest, rel=1e-6)
    assert left.seconds(2) == pytest.approx(max(1.0, rest / 2), rel=1e-6)
    assert left.seconds(2, since=rest) == 1.0


def test_a_pack_counts_for_what_it_has_left():
    left, first, second = TimeLeft(), pack(40.0, 10), pack(40.0, 10)
    left.plan(first)
    left.plan(second)
    left.observe(first, report(first, 4, 1.5))
    assert left.seconds(1) == pytest.approx(seconds(first) + seconds(second) - 1.5 - 4 * 2.1)
    left.observe(first, report(first, 4))
    assert left.seconds(1) == pytest.approx(seconds(second) + 2 * 2.1)
    left.end(first)  # its worker died
    left.plan(pack(8.0, 2))
    assert left.seconds(1) == pytest.approx(seconds(second) + 1.5 + 2 * 2.1)


def test_of_one_kind_the_rest_takes_in_proportion_to_its_guess():
    left = TimeLeft()
    packs = [pack(guess, 2) for guess in (0.4, 0.4, 0.1)]
    for each in packs:
        left.plan(each)
    for each in packs[:2]:
        left.observe(each, Report([], [2.0, 2.0], 6.0))
        left.end(each)
    assert left.seconds(1) == pytest.approx(2.0 + 1.0)


def test_a_trial_that_failed_at_once_does_not_break_it():
    left, failed = TimeLeft(), pack(0.1, 1)
    left.plan(failed)
    left.plan(pack(0.1, 1))
    left.observe(failed, Report([], [], 0.1))
    left.end(failed)
    assert left.seconds(1) is None


def test_the_time_left_is_said_once_a_pack_has_begun():
    progress = TerminalProgress(
        4, workers=1, metric="val_accuracy", mode="max", console=Console(file=io.StringIO())
    )
    begun = pack(40.0, 10)
    progress.planned(begun)
    assert progress.text() == "0/4 trials · timing the first trials"
    progress.trained(begun, report(begun, 4, 1.5), [])
    assert progress.text() == "0/4 trials · 13 s left"
    progress.ended(begun)
    progress.kept(4)
    assert progress.text() == "4/4 trials"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"),
        (7800, "2 h 10 min"), (24 * 86400, "24 d 0 h"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_do(length, said):
    assert duration(length) == said
