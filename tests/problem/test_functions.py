"""Problems made of functions: what travels to workers, what a change is called, what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tuning import TuningError
from tuning.problem.fingerprint import changed
from tuning.problem.functions import LARGE, problem_of
from tuning.problem.problem import load_data

SPACE = {"units": [1, 2]}
ROWS = np.arange(8.0).reshape(4, 2), np.arange(4.0)
DATA = {"train": ROWS, "validation": ROWS}


def python(folder: Path, *arguments: str, text: str = "", backend: str = "") -> str:
    """What a Python prints that runs in a folder and finds `tuning` in this repository."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **({"KERAS_BACKEND": backend} if backend else {}),
    }
    told = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        input=textwrap.dedent(text),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


HELPERS = """
import threading
import parts.blocks
from parts import sizes
LOCK = threading.Lock()  # which no build_model uses
LARGE = "x" * 100_000
def width(units):
    return units + sizes.MORE
def dense(n):
    import keras
    return keras.layers.Dense(n)
"""
BLOCKS = """
import keras
import helpers
class Block(keras.layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.dense = keras.layers.Dense(helpers.width(units))
    def build(self, shape):
        self.dense.build(shape)
    def call(self, x):
        return self.dense(x)
"""
SCRIPT = """
import functools, pickle
import jax
import numpy as np
import keras
import helpers
from helpers import dense
from parts.blocks import Block
from tuning.problem.functions import problem_of

rows = np.arange(8.0).reshape(4, 2).astype("float32")
large = np.ones((600, 600), "float32")
normal = keras.layers.Normalization()
normal.adapt(rows)
backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
backbone.trainable = False
UNITS = 4
keras.config.set_epsilon(1e-5)

@functools.cache
def more(n):
    return n + 1

@jax.jit
def doubled(x):
    return 2 * x

def of(*layers):
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile("sgd", "mse")
    return model

def sized(n):
    return of(keras.layers.Dense(n))

def late(config):
    import later
    return sized(later.late())

def closure(rows):
    def build(config):
        return sized(rows.shape[1])
    return build

class Builder:
    def __init__(self, n):
        self.n = n
    def __call__(self, config):
        return sized(self.n)
    def method(self, config):
        return sized(self.n + 1)

@keras.saving.register_keras_serializable("mine")
class Known(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Unknown(keras.layers.Layer):
    def call(self, x):
        return 3 * x

own = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), Unknown(), Known()])

builders = {
    "global value": lambda c: sized(c["units"] + UNITS),  # 5
    "attribute of a module": lambda c: sized(helpers.width(c["units"])),  # 4
    "function of a module": lambda c: of(dense(7)),
    "cached function": lambda c: sized(more(8)),  # 9
    "compiled function": lambda c: of(keras.layers.Dense(6, activation=doubled)),
    "layer of a module": lambda c: of(Block(6)),  # 9
    "late import": late,  # 11
    "closure": closure(rows),  # 2
    "partial": functools.partial(lambda c, n: sized(n), n=12),
    "callable object": Builder(13),
    "method": Builder(13).method,  # 14
    "registered layer": lambda c: of(keras.layers.Dense(3), Known()),
    "adapted layer": lambda c: of(normal, keras.layers.Dense(int(normal.mean[0, 0]))),  # 3
    "frozen model": lambda c: of(backbone, keras.layers.Dense(2)),
    "frozen model of own layers": lambda c: of(own, keras.layers.Dense(4)),
    "large array": lambda c: sized(int(large.sum()) // 36_000),  # 10
}
problems = {name: problem_of(f, {"units": [1, 2]}, (rows, rows), validation_split=0.25)
            for name, f in builders.items()}
with open("problems.pickle", "wb") as file:
    pickle.dump(problems, file)
"""
WORKER = """
import json, pickle, sys
from tuning.compatibility.keras import settings_now
from tuning.engines.models import compiled_model
from tuning.execution.worker import prepare
from tuning.problem.environment import environment
with open(sys.argv[1], "rb") as file:
    problems = pickle.load(file)
assert "keras" not in sys.modules  # before its backend is chosen
prepare("jax")
found = {}
for name, problem in problems.items():
    model = compiled_model(problem, problem.grid[0], 0)
    found[name] = model.output_shape[1], len(model.trainable_variables)
import keras
found["registered"] = list(keras.saving.get_custom_objects())
found["epsilon"] = environment(problem)["epsilon"]
print(json.dumps(found))
"""


def test_whatever_build_model_is_it_works_on_a_worker_of_another_backend(tmp_path):
    import json

    caller, worker = tmp_path / "caller", tmp_path / "worker"
    for folder in (caller / "parts", worker):
        folder.mkdir(parents=True)
    for name, text in {
        "helpers.py": HELPERS, "parts/blocks.py": BLOCKS, "parts/sizes.py": "MORE = 3",
        "parts/__init__.py": "", "later.py": "def late(): return 11", "script.py": SCRIPT,
    }.items():  # fmt: skip
        (caller / name).write_text(text)
    python(caller, "script.py", backend="tensorflow")
    for name in ("helpers.py", "parts/blocks.py", "script.py"):
        (caller / name).unlink()  # the worker runs none of them
    told = python(worker, "-", "../caller/problems.pickle", text=WORKER)
    assert json.loads(told.splitlines()[-1]) == {
        "global value": [5, 2], "attribute of a module": [4, 2], "function of a module": [7, 2],
        "cached function": [9, 2], "compiled function": [6, 2],
        "layer of a module": [9, 2], "late import": [11, 2],
        "closure": [2, 2], "partial": [12, 2], "callable object": [13, 2], "method": [14, 2],
        "registered layer": [3, 2], "adapted layer": [3, 2], "frozen model": [2, 2],
        "frozen model of own layers": [4, 4],
        "large array": [10, 2], "registered": ["mine>Known"], "epsilon": "1e-05",
    }  # fmt: skip


def test_data_does_not_travel_and_large_arrays_do_so_once():
    rows = np.zeros((LARGE, 2))
    constants = np.zeros(LARGE)
    problem = problem_of(lambda _: constants, SPACE, {"train": (rows, rows)})
    apart: list[pickle.PickleBuffer] = []
    assert len(pickle.dumps(problem, 5, buffer_callback=apart.append)) < 10_000
    assert [buffer.raw().nbytes for buffer in apart] == [constants.nbytes]
    with pytest.raises(RuntimeError, match="the data is loaded in the process of the caller"):
        pickle.loads(pickle.dumps(problem)).load_data()


def fingerprint(build_model):
    return problem_of(build_model, SPACE, DATA).fingerprint


NOTEBOOK = """
WIDTH = {width}
NAMES = ["relu", {name!r}]
class Base:
    size = {size}
    def more(self):
        return {more}
def helper(n):{comment}
    return n * {factor} * WIDTH
def build_model(config, rate={rate}):
    return [helper(n) for n in NAMES if Base().more()]
"""
AS_IT_WAS = {
    "width": 3, "name": "tanh", "size": 1, "more": 2, "factor": 4, "rate": 0.5, "comment": "",
}  # fmt: skip


def cell(**changes):
    """A function as a cell makes it whose source is lost."""
    namespace = {"__name__": "__main__"}
    exec(NOTEBOOK.format(**{**AS_IT_WAS, **changes}), namespace)
    return namespace["build_model"]


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        ({}, []),
        ({"comment": "  # times\n\n"}, []),
        ({"width": 5}, ["its WIDTH is 3, not 5"]),
        ({"name": "gelu"}, ["its value NAMES has changed"]),
        ({"size": 7}, ["its Base.size is 1, not 7"]),
        ({"more": 9}, ["its function Base.more has changed"]),
        ({"factor": 7}, ["its function helper has changed"]),
        ({"rate": 0.25}, ["its build_model(rate) is 0.5, not 0.25"]),
    ],
)
def test_a_change_is_called_by_the_name_of_what_changed(change, phrases):
    assert changed(fingerprint(cell()), fingerprint(cell(**change))) == phrases


def test_texts_are_not_written_down():
    secret = "sesame"
    assert "sesame" not in str(fingerprint(lambda config: secret))


def test_what_is_new_is_named_where_nothing_else_changed():
    old, new = {"code": "1", "function f": "2"}, {"code": "3", "function f": "2", "class C": "4"}
    assert changed(old, new) == ["class C is only in the problem"]
    assert changed(new, old) == ["class C is only in the run"]
    assert changed({"code": "1"}, {"code": "2"}) == ["the problem's code has changed"]


def test_functions_that_call_each_other_have_a_fingerprint():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n > 0 and even(n - 1)

    assert {"function build_model", "function odd"} <= set(fingerprint(even))


def test_lambdas_of_one_line_are_told_apart():
    first, second = lambda config: 1, lambda config: 2
    assert fingerprint(first) != fingerprint(second)


def test_arrays_and_weights_count():
    import keras

    array = np.zeros(3)
    layer = keras.layers.Dense(1)
    layer.build((None, 1))
    before = fingerprint(lambda config: (array, layer))
    array[0] = 1
    layer.set_weights([np.ones((1, 1)), np.ones(1)])
    after = fingerprint(lambda config: (array, layer))
    phrases = changed(before, after)
    assert "its value array has changed" in phrases
    assert "its value layer has changed" in phrases


SCRIPTED = """
import sys
sys.path.insert(0, "modules")
import helpers
from tuning.problem.functions import problem_of
def build_model(config):
    import later  # {note}
    return helpers.width(config["units"]), later.late()
if __name__ == "__main__":
    print(problem_of(build_model, {{"units": [1, 2]}}, {{}}).fingerprint)
"""


def test_the_fingerprint_is_the_same_in_every_process_and_follows_modules(tmp_path):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "later.py").write_text("def late(): return 1")
    (modules / "helpers.py").write_text("def width(n): return {3, 'a', 'b'}, n")

    def run(note: str = "", *arguments: str) -> dict[str, str]:
        text = SCRIPTED.format(note=note)
        (tmp_path / "script.py").write_text(text)
        import ast

        return ast.literal_eval(python(tmp_path, *(arguments or ("script.py",)), text=text))

    first = run()
    assert run("a comment") == first
    piped = run("", "-")  # where Python has no source
    assert piped == run("", "-")
    assert {name for name in first if first[name] != piped[name]} == {
        "code", "function build_model",
    }  # fmt: skip
    (modules / "later.py").write_text("def late():\n    return 2")
    assert changed(first, run()) == ["its module later has changed"]
    (modules / "helpers.py").write_text("def width(n): return {4, 'a', 'b'}, n")
    assert "its function helpers.width has changed" in changed(first, run())


def test_a_cell_of_a_notebook_run_again_is_the_same(tmp_path):
    pytest.importorskip("IPython")
    text = """
    from IPython.core.interactiveshell import InteractiveShell
    from tuning.problem.functions import problem_of
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    def run(cell):
        assert shell.run_cell(cell, store_history=True).success
        return problem_of(shell.user_ns["build_model"], {"units": [1]}, {}).fingerprint
    cell = "W = 3\\ndef width(n): return n * W\\ndef build_model(config): return width(1)"
    first = run(cell)
    assert set(first) == {"code", "function build_model", "function width", "value W"}
    assert run("%time 1\\n" + cell.replace("W = 3", "W = 3  # wide")) == first
    assert run(cell.replace("n * W", "n + W"))["function width"] != first["function width"]
    """
    python(tmp_path, "-", text=f"import os\nos.environ['HOME'] = {str(tmp_path)!r}\n" + (
        textwrap.dedent(text)))  # fmt: skip


class Held:
    def __init__(self, value):
        self.value = value

    def __call__(self, config):
        return self.value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lambda: open('log.txt', 'w')", "'value', of type _io.TextIOWrapper, which cannot"),
        ("lambda: __import__('threading').Lock()", "'value', of type _thread.lock, which cannot"),
        ("lambda: (i for i in [1])", "'value', of type builtins.generator, which cannot be sent"),
        ("lambda: {'a': __import__('threading').Lock()}", "\"value['a']\", of type _thread.lock"),
        ("lambda: Held(__import__('threading').Lock())", "'value.value', of type _thread.lock"),
    ],
)
def test_what_cannot_travel_is_named(tmp_path, monkeypatch, value, says):
    monkeypatch.chdir(tmp_path)
    value = eval(value)()
    with pytest.raises(TuningError, match="make it inside build_model") as caught:
        problem_of(lambda config: value, SPACE, DATA)
    assert f"build_model uses {says}" in str(caught.value)


def test_the_last_rows_validate():
    x, y, weights = np.arange(10.0).reshape(10, 1), np.arange(10), np.ones(10)
    data = load_data(problem_of(print, SPACE, ({"a": x}, y, weights), validation_split=0.25))
    assert data["train"][0]["a"].ravel().tolist() == list(range(7))
    assert data["validation"][1].tolist() == [7, 8, 9]
    assert [len(part) for part in data.values()] == [3, 3]
    again = load_data(problem_of(print, SPACE, lambda: (x, y), validation_split=0.25))
    assert again["validation"][0].ravel().tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("data", "options", "says"),
    [
        (ROWS, {}, "has to be a function, a dict of splits, or (x, y) with validation_split"),
        (ROWS, {"validation_split": 1}, "takes a number above 0 and below 1, not 1"),
        (ROWS, {"validation_split": True}, "takes a number above 0 and below 1, not True"),
        (DATA, {"validation_split": 0.5}, "has splits already, so leave out validation_split"),
        (DATA, {"metric": "accuracy"}, "metric has to name a validation metric"),
        (DATA, {"mode": "up"}, "mode has to be 'max' or 'min', not 'up'"),
        (DATA, {"build_model": 3}, "build_model has to be a function, not int"),
        (DATA, {"space": {"epochs": [0]}}, "axis 'epochs' takes whole numbers from 1, not 0"),
        (DATA, {"space": [1]}, "a grid takes a mapping"),
    ],
)
def test_wrong_parts_are_refused_in_a_sentence(data, options, says):
    parts = {"build_model": print, "space": SPACE, **options}
    with pytest.raises(TuningError) as caught:
        problem_of(data=data, **parts)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_share_that_leaves_no_rows_is_refused():
    with pytest.raises(TuningError, match=r"validation_split=0\.9 leaves none of 4 rows"):
        load_data(problem_of(print, SPACE, ROWS, validation_split=0.9))


SEARCHED = """
import numpy as np
import tuning

WIDTH = {width}

def helper(units):
    return units {sign} WIDTH

def build_model(config):
    import keras
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(helper(config["units"]))])
    model.compile("sgd", "mse")
    return model

rows = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
try:
    results = tuning.search(
        build_model, {{"units": [1, 2]}}, rows, validation_split=0.5, trials=2, metric="val_loss",
        workers=0, out="r",
    )
    print(len(results.trials), "trials")
except tuning.TuningError as error:
    print(error)
"""


def test_a_search_goes_on_only_with_the_same_functions(tmp_path):
    def search(width: int = 3, sign: str = "+") -> str:
        (tmp_path / "script.py").write_text(SEARCHED.format(width=width, sign=sign))
        return python(tmp_path, "script.py", backend="jax").splitlines()[-1]

    assert search() == "2 trials"
    assert search() == "2 trials"
    assert search(width=5).startswith("r is another run: its WIDTH is 3, not 5 (")
    assert search(sign="*").startswith("r is another run: its function helper has changed (")
