"""`tuning.search` as scripts and notebooks call it: in processes of their own, on real models."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCRIPT = """
import numpy as np
import tuning
from sklearn.datasets import load_digits

digits = load_digits()
x, y = (digits.images / 16.0).astype("float32"), digits.target

def build_model(config):
    import keras
    model = keras.Sequential([
        keras.Input((8, 8)),
        keras.layers.Flatten(),
        keras.layers.Dense(config["units"], activation="relu"),
        keras.layers.Dropout(config["dropout"]),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(keras.optimizers.Adam(config["rate"]), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    return model

space = {"units": [8, 16], "dropout": [0.0, 0.2], "rate": [0.001, 0.01], "epochs": [1, 3]}
data = {"train": (x[:400], y[:400]), "validation": (x[400:600], y[400:600])}
"""
SEARCH = "results = tuning.search(build_model, space, data, trials=6, seed=0)\n"
EVALUATE = """
(row,) = results.best().to_dict("records")
loss, accuracy = results.best_model().evaluate(*data["validation"], verbose=0)
assert abs(accuracy - row["val_accuracy"]) < 1e-5, (accuracy, row)
assert abs(loss - row["val_loss"]) < 1e-5 * max(1, loss), (loss, row)
"""


def python(folder: Path, code: str, *, fails: bool = False, **environment: str):
    """A script of a new user in an empty directory."""
    import os

    (folder / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": "", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_script_gets_tables_and_the_best_model_and_leaves_nothing(tmp_path):
    more = """
    assert len(results.trials) == 6 and set(results.trials["strategy"]) == {"random"}
    assert "test_accuracy" not in results.trials
    assert set(results.curves["epoch"]) <= {1, 2, 3}
    assert len(results.best(3)) == 3
    print(results.path, results.report())
    """
    code = SCRIPT + SEARCH + EVALUATE + textwrap.dedent(more)
    done = python(tmp_path, code, KERAS_BACKEND="tensorflow")
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]
    assert "random" in done.stdout
    path = done.stdout.split()[0]
    assert not Path(path).exists()
    assert done.stderr == ""


@pytest.mark.slow
def test_the_process_of_the_user_keeps_what_is_its_own(tmp_path):
    """Its Keras and its backend, its random numbers, and its Ray."""
    before = """
    import random, ray, keras
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    assert keras.backend.backend() == "tensorflow"
    mine = keras.layers.Dense(2)
    keras.utils.set_random_seed(1)
    expected = random.random(), np.random.rand(), float(keras.random.uniform(()))
    keras.utils.set_random_seed(1)
    """
    after = """
    assert (random.random(), np.random.rand(), float(keras.random.uniform(()))) == expected
    assert keras.layers.Dense(2).name == 'dense_1' and mine.name == 'dense'
    assert ray.is_initialized() and ray.get(ray.put(3)) == 3
    again = tuning.search(build_model, space, data, trials=2, seed=1, workers=1)
    assert len(again.trials) == 2
    """
    first = SEARCH.replace("trials=6", "trials=3, workers=1")
    code = SCRIPT + textwrap.dedent(before) + first + textwrap.dedent(after) + EVALUATE
    python(tmp_path, code, KERAS_BACKEND="tensorflow")


@pytest.mark.slow
def test_a_search_goes_on_in_its_directory_and_not_with_another_model(tmp_path):
    first = SCRIPT + SEARCH.replace("seed=0", "out='run'")
    python(tmp_path, first)
    more = first.replace("trials=6", "trials=8") + EVALUATE + "print(len(results.trials))\n"
    assert python(tmp_path, more).stdout == "8\n"
    changed = more.replace('activation="relu"', 'activation="tanh"')
    said = python(tmp_path, changed, fails=True).stderr
    assert "run is another run: " in said
    assert "build_model" in said
    opened = "import tuning; results = tuning.open('run'); print(len(results.trials))\n"
    assert python(tmp_path, opened).stdout == "8\n"


def test_this_process_trains_where_there_are_no_workers(tmp_path):
    code = SCRIPT + SEARCH.replace("seed=0", "workers=0") + EVALUATE
    code += "import sys; assert 'ray' not in sys.modules or not sys.modules['ray'].is_initialized()"
    python(tmp_path, code, KERAS_BACKEND="jax")


def test_a_notebook_does_the_ten_lines(tmp_path):
    import nbclient
    import nbformat

    cells = [SCRIPT, SEARCH + "results", EVALUATE, "results.report()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = nbclient.NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = notebook.cells[1].outputs
    assert any("6/6 trials" in json.dumps(output) for output in outputs), outputs
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert not any(
        output.get("name") == "stderr" for cell in notebook.cells for output in cell.outputs
    )


INTERRUPTED = """
import os, signal

class Interrupts(tuning.Progress):
    def trained(self, pack, report, counted):
        if counted:
            os.kill(os.getpid(), signal.SIGINT)

results = tuning.search(build_model, space, data, trials=16, out="run", workers=1,
                        progress=[Interrupts()])
"""


@pytest.mark.slow
def test_an_interrupted_notebook_has_what_there_is(tmp_path):
    import nbclient
    import nbformat

    cells = [SCRIPT, INTERRUPTED, "assert 0 < len(results.trials) < 16\nlen(results.trials)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=240, resources=where).execute()
    said = json.dumps(notebook.cells[1].outputs)
    assert "Interrupted: these are the results so far" in said


@pytest.mark.slow
def test_an_interrupted_script_ends_and_goes_on(tmp_path):
    said = python(tmp_path, SCRIPT + INTERRUPTED, fails=True).stderr
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    more = SCRIPT + "results = tuning.search(build_model, space, data, trials=16, out='run')\n"
    assert python(tmp_path, more + "print(len(results.trials))").stdout == "16\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed=0": "strategy='radnom'"}, "no strategy 'radnom': did you mean 'random'"),
        (
            {"seed=0": "metric='val_acuracy', workers=0"},
            "judged by 'val_acuracy', but its models report",
        ),
        ({"seed=0": "workers=-1"}, "TuningError: workers takes a number from 0, not -1"),
        ({"seed=0": "start=[{'units': 8}]"}, "the configuration lacks axis"),
        (
            {"seed=0": "trial_timeout=0"},
            ": trial_timeout takes a number of seconds above 0",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path, change, says):
    code = SCRIPT + SEARCH
    for old, new in change.items():
        code = code.replace(old, new)
    said = python(tmp_path, code, fails=True).stderr
    assert says in said.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]
