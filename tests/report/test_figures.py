"""Figures as people see them."""

import re

import pytest
from matplotlib.figure import Figure

from tests.analysis.test_compare import manifest, results
from tuning import load_results
from tuning.analysis.compare import compare
from tuning.report.figures import best_so_far
from tuning.report.style import svg
from tuning.runs.manifest import read_manifest


def test_a_label_is_not_cut_off_where_the_layout_changes_the_ticks():
    """From 0.9785 to 0.996 there is room for a tick every 0.0025, until their labels take it."""

    def draw(ax):
        ax.set_ylim(0.9785, 0.996)
        ax.set_xlim(1, 1000)
        ax.set_xlabel("trials")
        ax.set_ylabel("accuracy")

    (left,) = re.findall(r'x="([-\d.]+)"[^>]*>accuracy<', svg(draw))
    assert float(left) > 8  # the height of a letter


def drawn(make_run, metric="val_accuracy", **reference):
    """The plot of a run's best so far, beside a published result."""
    references = [{"strategy": "original study", metric: 0.99, "trials": 20, **reference}]
    path = make_run(trials=range(3), references=references)
    ax = Figure().add_subplot()
    best_so_far(ax, compare(load_results(path), read_manifest(path)))
    return ax


@pytest.mark.parametrize("value", [0.5, 0.99])
def test_a_published_result_is_in_sight(make_run, value):
    ax = drawn(make_run, val_accuracy=value)
    (mark,) = [line for line in ax.lines if line.get_label() == "original study"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (20, value)
    for limits, place in ((ax.get_xlim(), 20), (ax.get_ylim(), value)):
        assert limits[0] < place < limits[1]


def test_trials_are_whole(make_run):
    ax = drawn(make_run, trials=4)
    assert all(tick == round(tick) for tick in ax.get_xticks())


def test_a_short_search_is_in_sight_beside_a_long_one():
    found = compare(results([0.5] * 3, [0.6 + 0.003 * i for i in range(100)]), manifest())
    ax = Figure().add_subplot()
    best_so_far(ax, found)
    low, high = ax.get_ylim()
    assert low < 0.5
    assert high > 0.897
