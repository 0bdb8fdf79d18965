"""A problem file's names that would be ignored are told of."""

import pytest

from tuning import TuningError
from tuning.problem.file import load_problem
from tuning.problem.unread import OF_FIT, unread_name


@pytest.mark.parametrize("name", OF_FIT)
@pytest.mark.parametrize("line", ["{} = 3", "def {}(config): ...", "if True:\n    {} = 3"])
def test_arguments_of_fit_are_not_ignored(name, line):
    assert f"tuning does not use {name!r};" in unread_name(line.format(name))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metrics = 'val_loss'", "tuning does not use 'metrics'; did you mean 'metric'?"),
        ("def load_datas(): ...", "tuning does not use 'load_datas'; did you mean 'load_data'?"),
        ("grids = 1", "tuning does not use 'grids'; did you mean 'grid'?"),
        ("patience = 3", "tuning does not use 'patience', nor does anything in the file"),
        ("early_stopping: bool = True", "tuning does not use 'early_stopping'"),
        ("try:\n    seed = 1\nexcept OSError:\n    pass", "tuning does not use 'seed'"),
    ],
)
def test_what_nobody_reads_is_told_of(text, says):
    assert unread_name(text).startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        "from keras import callbacks",
        "def callbacks(config): ...",
        "callbacks = []",
        "import numpy as np",
        "PATIENCE = 3",
        "_epochs = 3",
        "widths = [1, 2]\ngrid = Grid({'width': widths})",
        "def load_dataset(): ...\ndef load_data(): return load_dataset()",
        "def schedule(epoch): ...",
        "class Model: patience = 3",
        "x, y = load()",
        "mode = 'min'\nmetric = 'val_loss'\nreferences = []",
        "class_weight = 'balanced'",
        "def sample_weight(x, y): ...",
        "for rate in (1, 2):\n    print(rate)",
        "__author__ = 'me'",
    ],
)
def test_names_of_the_files_own_pass(text):
    assert unread_name(text) == ""


def test_the_file_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("steps_per_epoch = 3\n")
    with pytest.raises(TuningError, match=r"^problem file mine.py: tuning does not use"):
        load_problem(str(path))
