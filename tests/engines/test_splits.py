"""Data without a test split: both engines train and validate, and report no test scores."""

import pytest

from tests.conftest import TINY, changed, fit, packing_of, train_pack
from tuning.errors import TuningError
from tuning.problem.data import splits_of
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data

pytestmark = pytest.mark.usefixtures("worker")

WITHOUT = ('        "test": (x[256:], y[256:]),\n', "")


def test_both_engines_do_without_test_data(tmp_path):
    problem, packing = packing_of(changed(tmp_path, WITHOUT))
    data = load_data(problem)
    assert splits_of(data) == ["train", "validation"]
    (packed,) = train_pack(problem, data, [3], 0, packing)
    alone = fit(problem, data, 3, seed=0)
    whole = fit(load_problem(str(TINY)), load_data(load_problem(str(TINY))), 3, seed=0)
    assert (packed.engine, packed.status, alone.status) == ("vectorized", "ok", "ok")
    assert set(packed.metrics) == set(alone.metrics)
    assert not any(name.startswith("test_") for name in packed.metrics)
    assert alone.metrics == {name: whole.metrics[name] for name in alone.metrics}


def test_zero_columns_are_left_out_of_what_data_there_is(tmp_path):
    border = ("    y = (x.sum", "    x[:, 1] = 0\n    y = (x.sum")
    problem, packing = packing_of(changed(tmp_path, WITHOUT, border))
    data = load_data(problem)
    (packed,) = train_pack(problem, data, [1], 0, packing)
    assert (packed.engine, packed.status) == ("vectorized", "ok")


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_the_others_are_needed(tmp_path, missing):
    rows = "x[:192], y[:192]" if missing == "train" else "x[192:256], y[192:256]"
    path = changed(tmp_path, (f'        "{missing}": ({rows}),\n', ""))
    with pytest.raises(TuningError, match="a dict of train and validation, and test if there"):
        load_data(load_problem(str(path)))


def test_an_unknown_split_is_refused(tmp_path):
    path = changed(tmp_path, ('"test":', '"tset":'))
    with pytest.raises(TuningError, match="tset"):
        load_data(load_problem(str(path)))
