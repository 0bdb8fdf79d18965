"""Figures as people see them."""

import re

from tuning.report.figures import svg


def test_a_label_is_not_cut_off_where_the_layout_changes_the_ticks():
    """From 0.9785 to 0.996 there is room for a tick every 0.0025, until their labels take it."""

    def draw(axes):
        axes.set_ylim(0.9785, 0.996)
        axes.set_xlim(1, 1000)
        axes.set_xlabel("trials")
        axes.set_ylabel("accuracy")

    (left,) = re.findall(r'x="([-\d.]+)"[^>]*>accuracy<', svg(draw))
    assert float(left) > 8  # the height of a letter
