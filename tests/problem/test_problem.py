"""Problems: the built-in one, a user's file, and files that are wrong."""

import hashlib
import pickle
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tests.conftest import TINY
from tuning import TuningError, load_problem
from tuning.problem.data import data_fingerprint
from tuning.problem.problem import load_data
from tuning.trial import batch_size, epochs

GOOD = """
import numpy as np
from tuning import Grid
grid = Grid({"units": [1, 2]})
def load_data():
    return {split: (np.zeros((3, 2)), np.zeros(3)) for split in ("train", "validation", "test")}
def build_model(config):
    pass
"""


def write(folder: Path, text: str, name: str = "mine") -> str:
    path = folder / f"{name}.py"
    path.write_text(text)
    return str(path)


def test_the_built_in_problem_is_the_study():
    problem = load_problem("mnist_2_vs_7")
    assert problem.grid.size == 43_200
    epochs_in_all = problem.grid.size // 3 * sum(problem.grid.axes["epochs"])
    assert epochs_in_all == 345_600
    assert next(iter(problem.grid.axes)) == "batch_size"
    data = load_data(problem)
    assert [len(data[split][0]) for split in ("train", "validation", "test")] == [9778, 2445, 2060]
    assert data["train"][0].shape == (9778, 784)
    assert data["train"][0].dtype == np.float32
    assert (data["train"][0].min(), data["train"][0].max()) == (0.0, 1.0)
    shares = [data[split][1].mean() for split in ("train", "validation")]
    assert shares[0] == pytest.approx(6265 / 12223, abs=1e-4)
    assert shares[1] == pytest.approx(shares[0], abs=1e-3)


def test_the_embedded_data_is_what_its_note_says():
    import tuning.problems

    folder = Path(tuning.problems.__file__).parent
    digest = hashlib.sha256((folder / "mnist_2_vs_7.npz").read_bytes()).hexdigest()
    assert digest in (folder / "mnist_2_vs_7.md").read_text()


def test_a_users_file_brings_its_defaults(tmp_path):
    problem = load_problem(write(tmp_path, GOOD))
    assert (problem.name, problem.metric, problem.mode) == ("mine", "val_accuracy", None)
    assert (batch_size(problem.grid[0]), epochs(problem.grid[0])) == (32, 1)


def test_a_file_may_say_which_way_is_better(tmp_path):
    assert load_problem(write(tmp_path, GOOD)).mode is None
    assert load_problem(write(tmp_path, f"{GOOD}mode = 'min'", "other")).mode == "min"


def test_a_problem_travels_as_its_text(tmp_path):
    problem = load_problem(write(tmp_path, GOOD))
    (tmp_path / "mine.py").unlink()
    assert pickle.loads(pickle.dumps(problem)).grid == problem.grid


def test_it_can_import_what_stands_beside_it(tmp_path):
    (tmp_path / "beside_mine.py").write_text("UNITS = [3, 4, 5]")
    text = GOOD.replace("[1, 2]", "UNITS")
    assert load_problem(write(tmp_path, "from beside_mine import UNITS\n" + text)).grid.size == 3


def test_the_fingerprint_is_blind_to_comments_only(tmp_path):
    def digest(text: str) -> str:
        return load_problem(write(tmp_path, text)).fingerprint

    assert digest(GOOD) == digest(GOOD.replace("    pass", "    pass  # as yet\n\n"))
    assert digest(GOOD) != digest(GOOD.replace("    pass", "    return None"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", "does not import: ModuleNotFoundError: No module named"),
        ("grid = (", "does not import: SyntaxError"),
        ("raise SystemExit(3)", "does not import: SystemExit: 3"),
        ("from tuning import Grid\ngrid = Grid({'a': []})", "axis 'a' has no values"),
        ("grid = 1", "lacks load_data and build_model: a problem needs"),
        (
            GOOD + "grid = [1]",
            "its space has to be a tuning.Space, a tuning.Grid",
        ),
        (GOOD + "build_model = 3", "build_model has to be a function"),
        (GOOD + "metric = 'accuracy'", "metric has to name a validation metric"),
        (GOOD + "mode = 'best'", "mode has to be 'max' or 'min', not 'best'"),
        (GOOD + "grid = Grid({'epochs': [0, 1]})", "axis 'epochs' takes whole numbers from 1"),
        (GOOD + "grid = Grid({'batch_size': [1.5]})", "axis 'batch_size' takes whole numbers"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(tmp_path, text, says):
    with pytest.raises(TuningError, match=r"problem file mine\.py") as caught:
        load_problem(write(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.py", "cannot read the problem file nowhere.py: No such file"),
        ("mnist", "there is no problem 'mnist': name one of diabetes_mlp, digits_cnn"),
    ],
)
def test_a_missing_file_is_refused(name, says):
    with pytest.raises(TuningError, match=says):
        load_problem(name)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return 3", "a dict of train and validation, and test if there is one, not int"),
        ("return {'train': 1}", r"not \['train'\]"),
        ("1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("return dict.fromkeys(SPLITS, X)", r"train has to be \(x, y\)"),
        ("return dict.fromkeys(SPLITS, (X, X[:2]))", "train has 3 samples in x but 2 in y"),
        ("return dict.fromkeys(SPLITS, (X[:0], X[:0]))", "train is empty"),
        ("return dict.fromkeys(SPLITS, (X, None))", "train y has to be an array of numbers"),
        ("return dict.fromkeys(SPLITS, ({'a': X, 'b': X[:1]}, X))", "different lengths"),
        ("return dict.fromkeys(SPLITS, ([[1], [1, 2]], X))", "is not an array"),
        ("return dict.fromkeys(SPLITS, (Odd(), X))", "is not an array: RuntimeError: detach"),
    ],
)
def test_wrong_data_is_refused_in_a_sentence(tmp_path, body, says):
    text = f"""{GOOD}
SPLITS, X = ("train", "validation", "test"), np.zeros((3, 2))
class Odd:
    def __array__(self, *_, **__):
        raise RuntimeError("detach it")
def load_data():
    {body}
"""
    with pytest.raises(TuningError, match="of problem 'mine'") as caught:
        load_data(load_problem(write(tmp_path, text)))
    assert re.search(says, str(caught.value))


def test_data_of_several_inputs_keeps_its_names(tmp_path):
    text = GOOD.replace("(np.zeros((3, 2)), ", "({'a': np.zeros((3, 2)), 'b': [1, 2, 3]}, ")
    data = load_data(load_problem(write(tmp_path, text)))
    assert {name: array.shape for name, array in data["test"][0].items()} == {
        "a": (3, 2),
        "b": (3,),
    }


@pytest.mark.parametrize("dtype", ["datetime64[D]", "bfloat16", "<U3", "bool"])
def test_data_of_any_type_has_a_fingerprint(dtype):
    array = np.zeros(3, ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    pair = (array, np.zeros(3))
    assert data_fingerprint(dict.fromkeys(("train", "validation", "test"), pair))


def test_the_data_fingerprint_sees_every_byte():
    data = load_data(load_problem(str(TINY)))
    before = data_fingerprint(data)
    assert before == data_fingerprint(load_data(load_problem(str(TINY))))
    data["test"][0][5, 1] += 1e-6
    assert data_fingerprint(data) != before
