"""Figures as people see them."""

import re

from tuning.report.style import svg


def test_a_label_is_not_cut_off_where_the_layout_changes_the_ticks():
    """From 0.9785 to 0.996 there is room for a tick every 0.0025, until their labels take it."""

    def draw(ax):
        ax.set_ylim(0.9785, 0.996)
        ax.set_xlim(1, 1000)
        ax.set_xlabel("trials")
        ax.set_ylabel("accuracy")

    (left,) = re.findall(r'x="([-\d.]+)"[^>]*>accuracy<', svg(draw))
    assert float(left) > 8  # the height of a letter
