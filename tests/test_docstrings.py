"""The examples in docstrings are true."""

import doctest

import pytest

from tuning import Grid
from tuning.samplers import random, sweep
from tuning.space import grid


@pytest.mark.parametrize("module", [grid, random, sweep])
def test_examples(module):
    done = doctest.testmod(module, extraglobs={"Grid": Grid})
    assert done.attempted > 0
    assert done.failed == 0
