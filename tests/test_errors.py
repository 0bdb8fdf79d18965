"""Every error that a user can cause, provoked: one sentence, exit code 2 and nothing written.

That none is missing is tested, too: each line of the package that raises such an error has to be
reached, and each phrase that such an error is made of has to be said, by one of the cases below.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import contextlib
import errno
import fcntl
import functools
import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
from sklearn.model_selection import LeaveOneOut

from tests.conftest import command
from tests.made import Climber, outcome_of, write_run, write_run_of_space
from tuning import Fixed, Float, Grid, Int, Space, errors, samplers
from tuning.api import public
from tuning.api.ensembles import same_data
from tuning.cli import commands as cli
from tuning.cli.jobs import exit_code
from tuning.execution import cluster, loop, shared, worker
from tuning.execution import ray as executor_on_ray
from tuning.execution.cluster import Cluster
from tuning.execution.loop import Progress
from tuning.execution.ray import RayExecutor, death_of
from tuning.execution.slots import SlotExecutor
from tuning.execution.table import answer
from tuning.problem import file as file_of_problem
from tuning.problem import problem, variants
from tuning.problem.data import data_fingerprint
from tuning.problem.functions import problem_of
from tuning.runs import lock
from tuning.runs.best import BestModels
from tuning.runs.ensembles import Ensemble, write_ensemble
from tuning.runs.finalists import FinalistsTable
from tuning.runs.parts import Parts, load_parts
from tuning.runs.publish import publish
from tuning.runs.run import Run
from tuning.trial import KeptModel, Outcome, Trial

LONGEST = 300  # characters
NO_SENTENCE = r"Traceback|<class |<function | object at |[.!?] [A-Z]|[.!]$"  # or several
UNREACHED = {  # here; where it is provoked instead
    "SlotExecutor._hear_from": "integration/test_executors.py: by a worker set up otherwise",
    "supervised": "execution/test_supervisor.py: by processes that are killed",
}
THROUGH = ("reason", "probe")  # what they say reaches an error in an object, not by a call
TEXTS = ("str", "list[str]", "Iterator[str]")  # what a function returns that says what is wrong
NO_ERRORS = ("Unproven", "SlowerThanFit")  # why something is not packed
NO_ERRORS += ("Death", "death_of")  # what came of a worker process

Given = Callable[[Path, pytest.MonkeyPatch], Any]


@dataclass(frozen=True)
class Case:
    """A command that goes wrong, and what it has to say; `given` makes its inputs.

    Where it is Python code that goes wrong, this is `call`, which takes the folder of the case.
    """

    line: str
    says: str
    files: dict[str, str] = field(default_factory=dict)
    given: Given = lambda folder, patch: None
    code: int = 2
    call: Callable[[Path], Any] | None = None


@dataclass(frozen=True)
class Heard:
    """What came of a case: `lines` are those where the errors were made that it speaks of."""

    code: int
    out: str
    said: str
    left: list[str]
    lines: set[tuple[str, int]]


class Here(RayExecutor):
    """An executor of a Ray that is not there: it loads nothing, and looks at no model."""

    def __init__(self, problem: Any, job: worker.Job, **_: Any) -> None:
        SlotExecutor.__init__(self, problem, job, engine="fit", slots=0, most=0)

    def load(self, data: Any) -> None:
        pass


def on_ray(says: str, error: ray.exceptions.RayError) -> Case:
    """A search on a Ray where a look at the models ends so."""

    def given(_: Path, patch: pytest.MonkeyPatch) -> None:
        there = contextlib.nullcontext(Cluster(1, 1))
        patch.setattr(cluster, "ray_cluster", lambda *_, **__: there)
        died = {"_look": raising(death_of(error))}
        patch.setattr(executor_on_ray, "RayExecutor", type("Here", (Here,), died))

    return Case("run_ray --problem mine.py", says, MINE, given)


PROBLEM = """
import numpy as np
from tuning import Grid

grid = Grid({"units": [1, 2]})

def load_data():
    part = np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
    return {"train": part, "validation": part, "test": part}

def build_model(config):
    import keras
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(config["units"])])
    model.compile("sgd", "mean_squared_error", metrics=["accuracy"])
    return model
"""


MINE = {"mine.py": PROBLEM}


def explained(says: str, more: str) -> Case:
    """A problem file that says `more`, looked at."""
    return Case(
        "run_ray --problem wrong.py --explain",
        says,
        {"wrong.py": PROBLEM + textwrap.dedent(more)},
    )


def of_space(says: str, code: str) -> Case:
    """A problem file with a space that goes wrong."""
    before = "from tuning import Choice, Fixed, Float, Int, Space"
    space = "space = Space({'a': [1, 2], 'b': Int(4, 8).when(a=2)})"
    return explained(f"does not import: {says}", f"{before}\n{space}\n{code}")


def fed(says: str, split: str, before: str = "") -> Case:
    """A problem whose splits are each what the expression gives."""
    code = f"return dict.fromkeys(('train', 'validation', 'test'), {split})"
    return explained(
        f"load_data() of problem 'wrong': train {says}",
        f"""
{textwrap.dedent(before)}
def load_data():
    {code}
""",
    )


def in_folds(says: str, folds: str) -> Case:
    """A problem file whose rows are cut as the expression says."""
    return explained(says, f"folds = {folds}")


def searched(says: str, more: str = "", options: str = "") -> Case:
    """A search of a problem whose file says `more`, in this process."""
    files = {"wrong.py": PROBLEM + textwrap.dedent(more)}
    return Case(f"run_ray --problem wrong.py --workers 0 {options}", says, files)


def raising(error: Exception) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> None:
        raise error

    return raises


METRIC = """
def build_model(config):
    import keras
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=[{metric}])
    return model
"""
STEP = """
def build_model(config):
    import keras
    class Own(keras.Sequential):
        def {name}(self, {takes}):
            raise ValueError("no step")
    model = Own([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["accuracy"])
    return model
"""
DATASET = """
class DatasetV2:
    __module__ = "tensorflow.data"
    def cardinality(self):
        return {cardinality}
    @property
    def element_spec(self):
        import types
        return types.SimpleNamespace(shape=types.SimpleNamespace(rank={rank}))
    def __iter__(self):
        {body}
"""
PY_DATASET = """
import keras

class Batches(keras.utils.PyDataset):
    def __len__(self):
        {length}
    def __getitem__(self, i):
        {item}
"""
ROWS = "(np.zeros((4, 2)), np.zeros((4, 1)))"

OF_PROBLEMS = [
    Case("run_ray --problem mnist", "there is no problem 'mnist': name one of d"),
    Case("run_ray --problem no.py", "cannot read the problem file no.py: No such file"),
    Case(
        "run_ray --problem odd.py",
        "cannot read the problem file odd.py: it is not UTF-8 text",
        given=lambda folder, _: (folder / "odd.py").write_bytes(b"\xff\xfe"),
    ),
    explained("problem file wrong.py does not import: ZeroDivisionError", "1 / 0"),
    explained("problem file wrong.py lacks load_data: a problem needs", "del load_data"),
    explained("wrong.py: its space has to be a tuning.Space, a tuning.Grid or a dict", "grid = 3"),
    explained("wrong.py: a grid needs at least one axis", "grid = {}"),
    explained("wrong.py: build_model has to be a function, not int", "build_model = 3"),
    explained("axis 'epochs' takes whole numbers from 1, not 0", "grid = Grid({'epochs': [0]})"),
    explained("axis 'epochs' takes whole numbers from 1, not 1 to 3",
              "import tuning\ngrid = {'epochs': tuning.Float(1, 3)}"),
    explained("metric has to name a validation metric (val_…), not 'loss'", "metric = 'loss'"),
    explained("metric has to name a validation metric (val_…), not of type", "metric = print"),
    explained("wrong.py: mode has to be 'max' or 'min', not 'up'", "mode = 'up'"),
    explained("wrong.py: references has to be a list, not dict", "references = {}"),
    explained("wrong.py: references: 3 is not a dict", "references = [3]"),
    explained("'strategy' is 3, not text", "references = [{'strategy': 3}]"),
    explained("'trials' is 'x', not a finite number", "references = [{'trials': 'x'}]"),
    explained("does not use 'fit_kwargs'; a value of the file's own may be", "fit_kwargs = {}"),
    explained("wrong.py: callbacks has to be a list of Keras callbacks, or a function that returns "
              "one, not int", "callbacks = 3"),
    explained("wrong.py: callbacks has to be a list of Keras callbacks, but has a str",
              "callbacks = ['x']"),
    explained("can be trained on jax: TypeError: callbacks(config) has to return a list of Keras",
              "def callbacks(config): return 3"),
    explained("can be trained on jax: TypeError: callbacks(config) returned one of type int",
              "def callbacks(config): return [3]"),
    explained("'epochs'; did you mean an axis of the grid, 'epochs'?", "epochs = 3"),
    explained("does not use 'metrics'; did you mean 'metric'?", "metrics = []"),
    explained("does not use 'widths', nor does anything in the file", "widths = [3]"),
    # Grids
    explained("import: a grid takes a mapping of axis names to values, not list", "Grid([1])"),
    explained("import: a grid needs at least one axis", "Grid({})"),
    explained("import: 3 cannot name an axis: a name is printable text", "Grid({3: [1]})"),
    explained("import: axis 'a' needs a list of values, not 'relu'", "Grid({'a': 'relu'})"),
    explained("import: axis 'a' has no values", "Grid({'a': []})"),
    explained("import: axis 'a' repeats [1, 2]", "Grid({'a': [[1, 2], [1, 2]]})"),
    explained("import: axis 'a' has the value inf, which is", "Grid({'a': [float('inf')]})"),
    explained("import: axis 'a' repeats 1.0 (1 and 1.0 are equal)", "Grid({'a': [1, 1.0]})"),
    explained("import: unknown axis 'b': the grid has units", "grid.index({'b': 1})"),
    explained("import: the configuration lacks axis 'units'", "grid.index({})"),
    explained("3 is not a value of axis 'units': it has [1, 2]", "grid.index({'units': 3})"),
    explained("an axis cannot be called 'trial': the results have", "grid = Grid({'trial': [1]})"),
    explained("an axis cannot be called '=a': a spreadsheet takes", "grid = Grid({'=a': [1]})"),
    searched("an axis cannot be called 'val_mae'", METRIC.format(metric="'mae'") + """
grid = Grid({"val_mae": [1]})
metric = "val_mae"
"""),
    # Spaces
    of_space("a space takes a mapping of names to hyperparameters, not list", "Space([1])"),
    of_space("a space needs at least one hyperparameter", "Space({})"),
    of_space("hyperparameter 'a' has no values", "Space({'a': []})"),
    of_space("Choice has no values", "Choice([])"),
    of_space("Choice repeats (1, 2)", "Choice([(1, 2), (1, 2)])"),
    of_space("Choice takes a list of values, not 'relu'", "Choice('relu')"),
    of_space("Float(0, 1, log=True) begins at 0: a logarithmic range", "Float(0, 1, log=True)"),
    of_space("Float takes a range from low to high, and 2 is not below 1", "Float(2, 1)"),
    of_space("Float takes finite numbers, and high is inf", "Float(0, float('inf'))"),
    of_space("Int takes whole numbers, and low is 0.5", "Int(0.5, 2)"),
    of_space("Int takes numbers from -2**53 to 2**53", "Int(0, 2**53 + 1)"),
    of_space("Int takes a step of at least 1, not 0", "Int(1, 2, step=0)"),
    of_space("'b' depends on 'a', which has to stand before it in the space",
             "Space({'b': Int(1, 2).when(a=1), 'a': [1, 2]})"),
    of_space("'b' is to exist where 'a' is 3, which is no value of it: it has [1, 2]",
             "Space({'a': [1, 2], 'b': Int(1, 2).when(a=3)})"),
    of_space("a configuration is a dict, not 3", "space.labels(3)"),
    of_space("unknown hyperparameter 'x': the space has a, b", "space.labels({'x': 1})"),
    of_space("the configuration lacks hyperparameter 'b'", "space.labels({'a': 2})"),
    of_space("hyperparameter 'b' does not exist beside the others of the configuration: it is the",
             "space.labels({'a': 1, 'b': 4})"),
    of_space("9 is not a value of hyperparameter 'b': it has 4 to 8",
             "space.labels({'a': 2, 'b': 9})"),
    Case("run_ray --problem wrong.py --sweep 2", "a sweep needs a grid, and the space has ranges",
         {"wrong.py": PROBLEM + "import tuning\ngrid = {'units': tuning.Int(1, 9)}"}),
    # Models
    explained("build_model of problem 'wrong' has to return a Keras model, not int", """
def build_model(config):
    return 3
"""),
    explained("build_model of problem 'wrong' exits: SystemExit: 3", """
def build_model(config):
    raise SystemExit(3)
"""),
    explained("has to return a compiled model: call model.compile(loss=…)", """
def build_model(config):
    import keras
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
"""),
    explained("can be trained on jax: ZeroDivisionError: division by zero", """
def build_model(config):
    1 / 0
"""),
    explained("Own.train_step is not for JAX, where Keras gives it (state, data): add --backend",
              STEP.format(name="train_step", takes="data")),
    explained("build_model (wrong.py, line 21) calls PyTorch, and Keras runs on JAX: add", """
import types
torch = types.ModuleType("torch")
torch.relu = int
def build_model(config):
    torch.relu(None)
"""),
    explained("StringLookup works on TensorFlow alone: add --backend tensorflow, where", """
def build_model(config):
    raise ImportError("Layer StringLookup requires TensorFlow.")
"""),
    explained("can be trained on jax: a layer works on TensorFlow alone: add", """
def build_model(config):
    raise ImportError("It requires TensorFlow.")
"""),
    explained("can be trained on jax: ValueError: much much", """
def build_model(config):
    raise ValueError("much " * 1000)
"""),
    searched("can be trained on jax: build_model of problem 'wrong' has to", """
def build_model(config):
    return None
"""),
    searched("'val_accuracy', but its models report val_loss, val_mae: let its metric be one of",
             METRIC.format(metric="'mae'")),
    searched("'val_f1_score', which is an array: let its metric be a single number, one", """
metric = "val_f1_score"
""" + METRIC.format(metric="keras.metrics.F1Score()")),
    searched("of which Keras does not know whether more or less is better: say mode = 'max'",
             METRIC.format(
                 metric="keras.metrics.MeanMetricWrapper(lambda y, p: p, name='accuracy')")),
    searched("no epoch of problem 'wrong' could be timed: ValueError: ",
             STEP.format(name="train_step", takes="state, data"),
             "--estimate"),
    on_ray("a worker lacks the package 'wine', which has to be on every node",
           ray.exceptions.RayTaskError("f", "", ModuleNotFoundError(name="wine"))),
    on_ray("no model of problem 'mine' can be tried: its worker process died",
           ray.exceptions.WorkerCrashedError()),
]  # fmt: skip

VARIED = """
def load_data(config):
    part = np.zeros((4, 2)), np.zeros(4)
    data = {{"train": part, "validation": part}}
    {body}
    return data
"""


def varied(body: str, **options: Any) -> tuple[problem.Problem, Any]:
    """A problem whose data depends on the axis `n`, and the data that it begins with."""
    names: dict[str, Any] = {"np": np, "__name__": "__main__"}
    exec(VARIED.format(body=body), names)
    mine = problem_of(lambda config: None, {"n": [2, 3]}, names["load_data"], **options)
    return mine, variants.searched_data(mine)[0]


def of_variant(says: str, body: str, **options: Any) -> Case:
    """A configuration whose data is not like that of others."""
    return python(says, lambda _: variants.data_of(*varied(body, **options), {"n": 3}))


def drawn_anew(_: Path) -> None:
    mine, data = varied("part[0][:] += config['n'] * np.random.default_rng().random()")
    own = variants.load_for(mine, {"n": 3})
    variants.refuse_other_draws(mine, data, own)


def ensemble_of_variants(_: Path) -> None:
    mine, _ = varied("part[1][:] = config['n']")
    digest = variants.searched_data(mine)[1]
    about: Any = SimpleNamespace(problem=SimpleNamespace(fingerprint={"data": digest}))
    same_data(Path("run"), mine, about, [{"n": 2}, {"n": 3}])


OF_DATA = [
    explained("load_data() of problem 'wrong' failed: ZeroDivisionError", """
def load_data():
    1 / 0
"""),
    explained("load_data() of problem 'wrong' failed: SystemExit: 3", """
def load_data():
    raise SystemExit(3)
"""),
    explained("load_data() of problem 'wrong' has to return a dict of train and validation", """
def load_data():
    return {"train": 1, "test": 2}
"""),
    explained("load_data takes a configuration or nothing, not 2 arguments", """
def load_data(config, seed):
    pass
"""),
    explained("load_data() of problem 'wrong' reads 'epochs', and a training of few epochs is", """
def load_data(config):
    part = np.zeros((4, 2), "float32"), np.zeros((4, config.get("epochs", 1)), "float32")
    return {"train": part, "validation": part}
"""),
    in_folds("cannot be cut into folds: TypeError", "3.5"),
    in_folds("is cut into no folds", "[]"),
    in_folds("fold 0 is not a pair of rows to train and to validate", "[(np.arange(3),)]"),
    in_folds("fold 1 has no numbers of rows to validate", "[([0, 1], [2]), ([0, 1], [])]"),
    in_folds("fold 0 has a row to train that is not in the data", "[([0, 9], [2])]"),
    explained("folds are cut from the rows of train and validation together, which are not of one",
              """
folds = 2
def load_data():
    y = np.zeros((4, 1), "float32")
    return {"train": (np.zeros((4, 2)), y), "validation": (np.zeros((4, 3)), y)}
"""),
    explained("groups has 3 rows, and the data 8", """
folds = 2
def load_data():
    part = np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
    return {"train": part, "validation": part, "groups": [1, 2, 3]}
"""),
    fed("has to be (x, y), (x, y, sample_weight), a keras", "(1, 2, 3, 4)"),
    fed("x: its arrays have different lengths, [2, 4] (a list of arrays is",
        "([np.zeros((4, 1)), np.zeros((2, 1))], np.zeros(4))"),
    fed("has 4 samples in x but 3 in y", "(np.zeros((4, 2)), np.zeros(3))"),
    fed("is empty", "(np.zeros((0, 2)), np.zeros(0))"),
    fed("y is text: give numbers, such as numpy.unique", "(np.zeros((2, 2)), ['a', 'b'])"),
    explained("train x is text, which only TensorFlow has: add --backend tensorflow", """
def load_data():
    part = np.array(["a", "b"]), np.zeros(2)
    return {"train": part, "validation": part, "test": part}
"""),
    fed("sample_weight has to be one array, or one for each array of y",
        "(np.zeros((4, 2)), np.zeros(4), [np.zeros(4), np.zeros(4)])"),
    fed("sample_weight has the shape (4, 2) for several outputs: give one number a row",
        "(np.zeros((4, 2)), [np.zeros(4), np.zeros(4)], np.zeros((4, 2)))"),
    fed("x is an empty dict: it needs an array", "({}, np.zeros(4))"),
    fed("x is not an array: ValueError", "([[1, 2], [3]], np.zeros(2))"),
    fed("x has to be an array of numbers, not int", "(3, np.zeros(2))"),
    fed("x has text and other things in one array", "(np.array(['a', 1], object), np.zeros(2))"),
    fed("x has to be an array of numbers, not of set", "(np.array([{1}, {2}]), np.zeros(2))"),
    fed("does not end: leave out .repeat(), or add .take(n)", "DatasetV2()",
        DATASET.format(cardinality=-1, rank=2, body="pass")),
    fed("is not in batches: add .batch(32)", "DatasetV2()",
        DATASET.format(cardinality=2, rank=0, body="pass")),
    fed("cannot be drawn: ZeroDivisionError", "DatasetV2()",
        DATASET.format(cardinality=2, rank=2, body="yield 1 / 0")),
    fed("is empty", "DatasetV2()", DATASET.format(cardinality=2, rank=2, body="yield from ()")),
    fed("has batches that do not fit together (ValueError", "DatasetV2()", DATASET.format(
        cardinality=2, rank=2,
        body="yield np.zeros((2, 3)), np.zeros(2); yield np.zeros((2, 4)), np.zeros(2)")),
    fed("does not end: give it a number of batches", "Batches()",
        PY_DATASET.format(length="raise NotImplementedError", item="pass")),
    fed("has to give batches (x, y) or (x, y, sample_weight), not tuple of 4", "Batches()",
        PY_DATASET.format(length="return 2", item="return 1, 2, 3, 4")),
    fed("fills 50% of this machine's memory and goes on: if it does not end, add", "Batches()",
        "import os\nos.sysconf = lambda _: 1\n"
        + PY_DATASET.format(length="return 2", item=f"return {ROWS}")),
]  # fmt: skip


def made(**options: Any) -> Given:
    """A run in `run`, of no problem that is there."""
    return lambda folder, _: write_run(folder, **options)


MADE = made()


def both(**options: Any) -> Given:
    """A run `run`, and one `b`, which differs from it as told."""

    def given(folder: Path, _: pytest.MonkeyPatch) -> None:
        write_run(folder)
        write_run(folder, **{"name": "b", "seed": 1, **options})

    return given


def edited(file: str, old: str, new: str, make: Given = MADE) -> Given:
    """A run of whose files one was edited."""

    def given(folder: Path, patch: pytest.MonkeyPatch) -> None:
        make(folder, patch)
        text = (folder / file).read_text()
        assert old in text, old
        (folder / file).write_text(text.replace(old, new, 1))

    return given


def own(
    change: Callable[[dict[str, Any]], Any] = lambda about: None,
    then: Given = lambda folder, patch: None,
) -> Given:
    """A run of the problem in `mine.py`, its manifest changed, and then more."""

    def given(folder: Path, patch: pytest.MonkeyPatch) -> Any:
        file = folder / "mine.py"
        file.write_text(PROBLEM)
        mine = file_of_problem.load_problem(str(file))
        data = problem.load_data(mine)
        model = worker.probe(mine, data, worker.Job(0, "jax"), False).model_fingerprint
        digests = {**mine.fingerprint, "model": model, "data": data_fingerprint(data)}
        path = write_run(folder, lambda *_: 0.5, trials=[0], axes={"units": [1, 2]})
        about = json.loads((path / "manifest.json").read_text())
        about["problem"] |= {"name": "mine", "source": str(file), "fingerprint": digests}
        change(about)
        (path / "manifest.json").write_text(json.dumps(about))
        return then(folder, patch)

    return given


def of_sweep(**sweep: Any) -> Callable[[dict[str, Any]], Any]:
    """A change of the sweep in a manifest."""
    return lambda about: about["strategies"]["sweep"].update(sweep)


def of(space: Space) -> Callable[[dict[str, Any]], Any]:
    """Have a run be of a space that is no grid."""

    def change(about: dict[str, Any]) -> None:
        axes: dict[str, list[Any]] = {name: [] for name in space.parameters}
        about["problem"] |= {"axes": axes, "space": space.describe()}
        about["strategies"] = {"random": {"trials": 2}}

    return change


def of_another_step(about: dict[str, Any]) -> None:
    """Have a run's models do something else in a step, as traced by the libraries that are here."""
    about["problem"]["fingerprint"]["step"] = "s"
    about["versions"] |= {name: metadata.version(name) for name in ("keras", "jax")}


def to_format_1(about: dict[str, Any]) -> None:
    """Make a manifest one of an earlier version."""
    about |= {"format": 1, "search": {"random": 0, "sweep": "all", "sweep_order": "grid"}}


def parts(*sweeps: str, order: str = "grid", trials: tuple[int, ...] = (0,)) -> Given:
    """Runs `0`, `1`, …, each of one of these sweeps."""

    def given(folder: Path, _: pytest.MonkeyPatch) -> None:
        for i, sweep in enumerate(sweeps):
            path = write_run(folder, name=str(i), trials=trials) / "manifest.json"
            about = json.loads(path.read_text())
            about["strategies"]["sweep"] = {"points": sweep, "order": order if i else "grid"}
            path.write_text(json.dumps(about))

    return given


def published(folder: Path, _: pytest.MonkeyPatch) -> None:
    publish(write_run(folder), folder / "small")


def full_disk(file: str, make: Given = MADE) -> Given:
    """No room for a file of that name."""

    def given(folder: Path, patch: pytest.MonkeyPatch) -> Any:
        kept, fsync = make(folder, patch), os.fsync

        def fails(number: int) -> None:
            if Path(os.readlink(f"/proc/self/fd/{number}")).name == file:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(number)

        patch.setattr(os, "fsync", fails)
        return kept

    return given


def locked(folder: Path, _: pytest.MonkeyPatch) -> Any:
    file = (folder / "run" / "lock").open("a")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def locked_elsewhere(folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / "run" / "lock").write_text("process 7 on elsewhere\n")
    patch.setattr(lock.Lock, "_is_touched", lambda _: True)


def unlockable(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fcntl, "flock", raising(OSError(errno.EIO, "Input/output error")))


def a_folder(name: str) -> Given:
    """A folder where a file should be."""

    def given(folder: Path, _: pytest.MonkeyPatch) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir(parents=True)

    return given


def without(file: str) -> Given:
    return lambda folder, _: (folder / file).unlink()


def before_the_search(does: Given) -> Given:
    """Something is done once the run is open and the models were looked at."""

    def given(folder: Path, patch: pytest.MonkeyPatch) -> None:
        begin = loop.search

        def after(*given: Any, **options: Any) -> None:
            does(folder, patch)
            begin(*given, **options)

        patch.setattr(loop, "search", after)

    return given


taken_over = before_the_search(
    lambda folder, _: (folder / "run" / "lock").write_text("process 7 on elsewhere\n")
)


def sampler(ask: str, says: str, tell: str = "pass") -> Case:
    """A sampler of one's own that misbehaves."""
    code = f"""
from tuning.samplers import WAIT, Sampler
from tuning.trial import Trial

class Own(Sampler):
    def __init__(self, *given): self.n_trials = 2
    def ask(self, n): {ask}
    def tell(self, outcomes): {tell}
"""
    given = made(trials=range(4))
    return Case(
        "replay run --sampler own.py:Own --trials 2 --repeats 1", says, {"own.py": code}, given
    )


def no_room_for_spent(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    """A run that notes at once what was spent, on a disk that has no room for it."""
    patch.setattr("tuning.runs.run.SPENT_EVERY_SECONDS", 0.0)
    return full_disk("spent.json.draft", own())(folder, patch)


def spent_of_nothing(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A run whose file of what was spent is none."""
    made()(folder, patch)
    (folder / "run" / "spent.json").write_text("[3]")


GO_ON = "run_ray --out run --workers 0"

OF_OPTIONS = [
    Case("main rum", "there is no command 'rum'; did you mean 'run'?"),
    Case("main xyz", "there is no command 'xyz'; take one of run, analyse, explain"),
    Case("main run --random x", "argument --random: invalid int value: 'x'"),
    Case("run_ray --random x", "argument --random: invalid int value: 'x'"),
    Case("run_ray --sweep-order odd", "argument --sweep-order: invalid choice: 'odd'"),
    Case("run_ray --backend theano", "argument --backend: invalid choice: 'theano'"),
    Case("run_ray --nonsense", "unrecognized arguments: --nonsense"),
    Case("analyse", "the following arguments are required: DIR\n"),
    Case("run_ray --out s3://bucket/run", "s3://bucket/run is not a path: runs are kept in dir"),
    Case("run_ray --keep -1", "--keep takes a number of models from 0, not -1"),
    Case("run_ray --workers -1", "--workers takes a number from 0, not -1"),
    Case("run_ray --trial-timeout nan", "--trial-timeout takes a number of seconds above 0, not"),
    Case("run_ray --trial-memory much", "--trial-memory takes a size such as 2GB or 512MB, not"),
    Case("run_ray --shard 4/3", "--shard takes K/N with K from 1 to N, such as 3/16, not '4/3'"),
    Case("run_ray --shard ''", "--shard takes K/N with K from 1 to N, such as 3/16, not ''"),
    Case("run_ray --problem ''", "there is no problem '': name one of"),
    Case("run_ray --random -1", "cannot draw -1 random configurations: take a number from 0 to"),
    Case("run_ray --random 50000", "cannot draw 50,000 random configurations: take a number"),
    Case("run_ray --sweep some", "--sweep takes a number N, a range A:B or all, not 'some'"),
    Case("run_ray --sweep 9:5", "cannot sweep 9:5: a range A:B of this grid has 0 <= A < B <="),
    Case("run_ray --sweep 50000", "cannot sweep 50,000 configurations: the grid has 43,200"),
    Case("run_ray --sweep 2:5 --sweep-order spaced", "--sweep-order spaced takes a number of p"),
    Case("run_ray --strategy halvign", "there is no strategy 'halvign': did you mean 'halving'?"),
    Case("run_ray --strategy random --set width=3", "the strategy 'random' has no setting 'width'"),
    Case("run_ray --strategy random --set packs.members=3",
         "--set packs.members: the strategy 'packs' is not searched by"),
    Case("run_ray --strategy random --set width", "--set takes NAME=VALUE, such as members=8, not"),
    Case("run_ray --trials 3", "--trials is a setting of a strategy: name one by --strategy"),
    Case("run_ray --strategy halving --trials 0", "trials takes a number from 1, not 0"),
    Case("run_ray --strategy random --trials 0", "nothing to search: let trials be at least 1"),
    Case("run_ray --time soon", "--time takes a duration such as 60s, 5m or 1h, not 'soon'"),
    Case("run_ray --time 0s", "--time takes a duration above 0, not '0s'"),
    Case("run_ray --target nan", "--target takes a number, not nan"),
    Case("run_ray --problem mine.py --workers 0 --target 1.2",
         "--target 1.2: val_accuracy is never above 1", MINE),
    Case("run_ray --problem mine.py --target -1", "--target -1: val_accuracy is never below 0",
         {"mine.py": f"{PROBLEM}\nmode = 'min'"}),
    Case("run_ray --strategy packs --warm run", "run is chosen by val_loss, and this search by",
         given=edited("run/manifest.json", '"metric": "val_accuracy"', '"metric": "val_loss"')),
    Case("run_ray --strategy packs --warm run", "no trial of run has a configuration of this sea",
         given=made()),
    Case("run_ray --problem mine.py --sweep 2 --warm run",
         "the strategy 'sweep' learns nothing from an earlier run", MINE,
         made(score=lambda *_: 0.5, axes={"units": [1, 2]})),
    Case("run_ray --finalists -1", "--finalists takes a number of configurations from 0, not -1"),
    Case("run_ray --repeats 0", "--repeats takes a number of seeds from 1, not 0"),
    Case("run_ray --problem mine.py --repeats 3 --shard 1/2 --random 2 --sweep 0",
         "a shard trains each trial once: leave out --folds and --repeats", MINE),
    Case("run_ray --problem mine.py --folds 2 --finalists 3",
         "--finalists are trained on the problem's own training rows: leave out folds", MINE),
    Case("run_ray --problem mine.py --folds 2", "an axis cannot be called 'fold': the results have",
         {"mine.py": f"{PROBLEM}\ngrid = Grid({{'fold': [1, 2], 'units': [1, 2]}})"}),
    Case("run_ray --problem mine.py --folds 9", "folds takes a number from 2 to the 8 rows, not 9",
         MINE),
    Case("run_ray --problem mine.py --shard 1/2 --finalists 3 --random 2 --sweep 0",
         "--finalists are the best of a whole search: merge its shards, and go on with that", MINE),
    Case("run_ray --stop-after 0", "--stop-after takes a number from 1, not 0"),
    Case("run_ray --epochs-total 0", "--epochs-total takes a number from 1, not 0"),
    Case("run_ray --random 0 --sweep 0", "nothing to search: both --random and --sweep are 0"),
    Case("run_ray --seed -1", "--seed takes a number from 0 to 4,294,967,295, not -1"),
    Case("run_ray --seed 4294967296", "--seed takes a number from 0 to 4,294,967,295, not 4"),
    Case("run_ray --explain --engine fit", "only packs can be explained, which --engine auto"),
    Case(
        "run_ray --backend torch",
        "--backend torch needs the package torch, which is not installed",
        given=lambda _, patch: patch.setattr("importlib.util.find_spec", lambda _: None),
    ),
    Case("analyse run --again 0", "--again takes a number of trials from 1, not 0"),
    Case("replay run --repeats 0", "--repeats takes a number from 1, not 0"),
    Case("replay run --trials 99", "--trials 99 is more than run has: a search over it has at",
         given=made()),
    Case("replay run --sampler best", "there is no sampler 'best': take random, sweep, spaced, "),
    Case("replay run --sampler no.py:Best", "there is no file no.py to take the sampler Best from"),
    Case("replay run --sampler bad.py:Best", "the sampler's file bad.py does not run: ZeroDiv",
         {"bad.py": "1 / 0"}),
    Case("replay run --sampler own.py:Best", "own.py has no class 'Best' to take as the sampler",
         {"own.py": ""}),
    sampler("return [3]", "ask of the sampler Own failed: TypeError: it gives int, not Trial"),
    sampler("return 3", "of the sampler Own failed: TypeError: it gives int, not a list of Trial"),
    sampler("return [Trial(0, {}, 0, index=5)] * 101", "Own has asked for 10,100 trials in a row"),
    sampler("return 1 / 0", "ask of the sampler Own failed: ZeroDivisionError"),
    sampler("raise SystemExit(3)", "ask of the sampler Own failed: SystemExit"),
    sampler("return [Trial(0, {}, 0, index=1)]", "tell of the sampler Own failed: KeyError: 'deaf'",
            "raise KeyError('deaf')"),
    sampler("return WAIT", "the strategy 'replay' waits for outcomes, but has heard of all its"),
    Case("replay run --sampler own.py:own", "own.py:own cannot be made: cannot sweep 99 configur",
         {"own.py": "from tuning import SweepSampler\n"
          "def own(grid, n, seed): return SweepSampler(grid, trials=99)"}, made()),
]  # fmt: skip

OF_RUNS = [
    Case(GO_ON, "run is not a run: it exists, but has no manifest.json (name a new", {"run/a": ""}),
    Case("run_ray --shard 1/2 --out run", "run is a run: a shard makes its own in the directory",
         given=made()),
    Case("analyse run", "there is no run at run"),
    Case("analyse run", "run/spent.json is damaged: ", given=spent_of_nothing),
    Case("analyse run", "run is not a run: it has no readable manifest.json", {"run/a": ""}),
    Case("analyse run", "run is a run of another version of tuning: its format is 4, not 1",
         given=edited("run/manifest.json", '"format": 3', '"format": 4')),
    Case(GO_ON, "run was made by an earlier version, so that it can be read, but not gone on with",
         given=own(to_format_1)),
    *(Case("analyse run", f"run/manifest.json is damaged: {says}",
           given=edited("run/manifest.json", old, new)) for old, new, says in [
        ('"seed": 0', '"seed": "0"', "its seed is '0'"),
        ('"mode": "max"', '"mode": "up"', "its mode is 'up'"),
        ('"seed": 0,', "", "it lacks 'seed'"),
        ('"points": "all"', '"points": "some"', "--sweep takes a number N"),
        ('"points": "all",', "", "a sweep's settings are points and order, not {'order': 'grid'}"),
        ('"points": "all"', '"points": 3', "a sweep's settings are points and order, not {'points"),
        ('"order": "grid"', '"order": "odd"', "--sweep-order takes grid or spaced, not 'odd'"),
        ('"sweep": {', '"random": {', "the strategy 'random' has no setting 'points'"),
        ('"format": 3', '"format": 1', "it lacks 'search'"),
        ('"format": 3', '"format": 1, "search": {}', "its search lacks 'random'"),
        ('"keep": 1', '"keep": -1', "its keep is -1"),
        ('"n": 0', '"n": -1', "its finalists are -1 with 5 seeds each"),
        ('"budget": {}', '"budget": {"money": 3}', "a budget has no 'money'"),
        ('"budget": {}', '"budget": {"time": -1}', "--time takes a duration above 0, such as 60s"),
        ('"sweep": {\n      "points": "all",\n      "order": "grid"\n    }',
         '"random": {"trials": "x"}',
         "the strategy 'random' cannot be made: TypeErr"),
        ('"budget": {}', '"budget": {"time": "long"}', "its budget is {'time': 'long'}"),
        ('"budget": {}', '"budget": {"as_long_as": "random"}', "its budget is as long as 'random'"),
        ('"validation",', "", "'validation' is not in its splits"),
        ('"validation",', '"validation", "train",', "its splits repeat"),
        ('"model": "m",', "", "'model' is not in its fingerprint"),
        ('"epochs": [\n        1', '"epochs": [\n        0', "axis 'epochs' takes whole numbers"),
        ('"accuracy"\n', '"mae"\n', "its metrics are 'loss', 'mae'"),
        ('"accuracy"\n', '"accuracy", "loss"\n', "its metrics repeat"),
        ('"references": []', '"references": [3]', "its references: 3 is not a dict"),
        ('"packing": {}', '"packing": {"width": "lifted"}', "its packing is not of its"),
        ('"space": {}', '"space": {"a": 3}', "3 describes no hyperparameter 'a'"),
        ('"space": {}', '"space": {"a": {"kind": "Fixed", "values": [1]}}', "its space is not of"),
    ]),
    Case(f"{GO_ON} --seed 7 --backend tensorflow", "run is another run: its seed is 0, not 7; its",
         given=own()),
    Case(f"{GO_ON} --problem wrong.py", "its problem is mine, not wrong; its metric is val_acc",
         {"wrong.py": PROBLEM + "metric = 'val_loss'\nmode = 'min'"}, own()),
    Case(f"{GO_ON} --problem wrong.py", "its axis 'units' has [1, 2], not [3]; and 1 more",
         {"wrong.py": PROBLEM + "metric = 'val_loss'\ngrid = Grid({'units': [3], 'a': [1]})"},
         own()),
    Case(f"{GO_ON} --problem wrong.py", "axis 'a' is only in the problem",
         {"wrong.py": PROBLEM + "grid = Grid({'units': [1, 2], 'a': [1]})"}, own()),
    Case(f"{GO_ON} --problem wrong.py", "axis 'a' is only in the run",
         {"wrong.py": PROBLEM},
         own(lambda about: about["problem"]["axes"].update(a=[1]))),
    Case(f"{GO_ON} --problem wrong.py", "its axes stand in another order",
         {"wrong.py": PROBLEM + "grid = Grid({'a': [1], 'units': [1, 2]})"},
         own(lambda about: about["problem"]["axes"].update(a=[1]))),
    Case(f"{GO_ON} --problem wrong.py", "its axis 'units' has other values or conditions (name an",
         {"wrong.py": PROBLEM + "grid = Grid({'units': range(20)})"},
         own(lambda about: about["problem"]["axes"].update(units=[*range(9), 99, *range(10, 20)]))),
    Case(f"{GO_ON} --problem wrong.py", "it searches a grid, not a space",
         {"wrong.py": PROBLEM + "import tuning\ngrid = tuning.Space({'units': [1, 2]})"}, own()),
    Case(GO_ON, "run is another run: it is no grid", given=own(of(Space({"units": [1, 2]})))),
    Case(f"{GO_ON} --problem wrong.py", "its axis 'units' has other values or conditions",
         {"wrong.py": PROBLEM + "import tuning\ngrid = {'units': tuning.Int(1, 9).when(a=2), }\n"
                      "grid = tuning.Space({'a': [1, 2], **grid})"},
         own(of(Space({"a": [1, 2], "units": Int(1, 9).when(a=1)})))),
    Case(GO_ON, "run is another run: its axis 'units' has another value odd", given=own(
        lambda about: about["problem"].update(values={"units": {"odd": {"tuple": [1]}}}))),
    Case(GO_ON, "run is another run: what its models do in a training step has changed",
         given=own(of_another_step)),
    Case(GO_ON, "run is another run: the problem's code has changed",
         given=own(lambda about: about["problem"]["fingerprint"].update(code="c"))),
    Case(GO_ON, "run is another run: the problem's data has changed",
         given=own(lambda about: about["problem"]["fingerprint"].update(data="d"))),
    Case(GO_ON, "there is no strategy 'sweeep': did you mean 'sweep'?",
         given=edited("run/manifest.json", '"sweep": {', '"sweeep": {', own())),
    Case(GO_ON, "there is no strategy 'own': there are",
         given=edited("run/manifest.json", '"sweep": {', '"own": {', own())),
    Case(f"{GO_ON} --sweep 1", "and a sweep of 1 evenly spaced in grid order does not begin with",
         given=own(of_sweep(points="2", order="spaced"))),
    Case(GO_ON, "trial 0 of the strategy 'sweep' is another configuration than the run has: the",
         code=1, given=edited("run/trials.csv", "sweep,0,0,0,1,", "sweep,0,1,0,2,", own())),
    Case(GO_ON, "Keras is not set up here as in the run: its KERAS_ODD is not set to 1", code=1,
         given=own(then=before_the_search(lambda _, patch: patch.setenv("KERAS_ODD", "1")))),
    Case(f"{GO_ON} --sweep 1:2", "order does not begin with it: name another directory",
         given=own(of_sweep(points="0:1"))),
    Case("analyse run --again 1", "run cannot be trained again: the problem's data has changed",
         given=own(lambda about: about["problem"]["fingerprint"].update(data="d"))),
    Case("analyse run --again 1", "its floatx is float16, not float32; its epsilon is 1, not 1e-07",
         given=own(lambda about: about.update(environment={"floatx": "float16", "epsilon": "1"}))),
    Case("analyse run --again 1", "its KERAS_ODD is 1, not unset",
         given=own(lambda about: about.update(environment={"KERAS_ODD": "1"}))),
    Case("analyse run", "run_ray.py --out run trains some",
         given=made(trials=[])),
    Case("publish run small", "run has no trials yet: ", given=made(trials=[])),
    Case("replay run", "no trial of run run has a result, so that there is nothing to rank: the",
         given=made(score=lambda *_: None)),
    Case("analyse run b", "run b cannot tell the noise of run run: its metric is val_loss, not",
         given=both(metric="val_loss")),
    Case("analyse run b", "runs run and b both have seed 0: each needs", given=both(seed=0)),
    Case("analyse run b", "fewer than two configurations have a result in each of the runs run, b",
         given=both(trials=[3])),
    Case("merge run b out", "run and b differ: of the first, its seed is 0, not 1", given=both()),
    Case("merge run out", "out is there already: name a new directory", {"out/a": ""}),
    Case("merge empty out", "empty is not a run, and holds none", {"empty/a": ""}),
    Case("merge 0 1 out", "the sweeps leave out 4:9, which stands before that of 1: train it with",
         given=parts("0:4", "9:12")),
    Case("merge 0 1 out", "the sweep of 1 (2 in spaced order) is not a range A:B that borders on",
         given=parts("0:4", "2", order="spaced")),
    Case("merge 0 1 out", "run 0 is damaged: its sweep does not ask for the configuration 9",
         given=parts("0:4", "0:4", trials=(0, 9))),
]  # fmt: skip


def python(
    says: str,
    call: Callable[[Path], Any],
    given: Given = lambda folder, patch: None,
    code: int = 2,
) -> Case:
    """A call from Python code."""
    return Case("python", says, {}, given, code, call)


def of_a_space(folder: Path, _: pytest.MonkeyPatch) -> None:
    write_run_of_space(folder, Space({"a": [1, 2], "b": Float(0.5, 1), "epochs": Fixed(2)}))


OF_FILES = [
    Case(GO_ON, "cannot write the run run: Is a directory", given=own(then=a_folder("run/lock"))),
    Case(GO_ON, "run is being written by another driver, which has to end first",
         given=own(then=locked)),
    Case(GO_ON, "run is being written by process 7 on elsewhere, which has to end first",
         given=own(then=locked_elsewhere)),
    Case(GO_ON, "cannot lock the run run: Input/output error", given=own(then=unlockable)),
    Case(GO_ON, "cannot open the run run: No such file", given=own(then=without("run/trials.csv"))),
    Case(GO_ON, "run/trials.csv has trial 0 a second time, in row 2",
         given=own(then=lambda folder, _: twice(folder / "run" / "trials.csv"))),
    Case(GO_ON, "run/trials.csv is damaged in row 1 or behind it",
         given=edited("run/trials.csv", ",ok,", ",fine,", own())),
    Case(GO_ON, "run/curves.csv is damaged: its first line does not name the run's columns",
         given=edited("run/curves.csv", "epoch", "time", own())),
    Case(f"{GO_ON} --sweep 2", "cannot write run/manifest.json: the disk is full", code=1,
         given=full_disk("manifest.json.draft", own(of_sweep(points="1")))),
    Case(GO_ON, "cannot write run/spent.json: the disk is full", code=1, given=no_room_for_spent),
    Case(GO_ON, "cannot write run/curves.csv: the disk is full", code=1,
         given=full_disk("curves.csv", own())),
    Case(GO_ON, "run was taken over by process 7 on elsewhere", code=1,
         given=own(then=taken_over)),
    Case(GO_ON, "run/finalists.csv is damaged: its first line does not name the run's columns",
         code=1, given=own(lambda about: about["finalists"].update(n=1),
                           lambda folder, _: (folder / "run" / "finalists.csv").write_text("x"))),
    Case("analyse run", "run/finalists.csv is damaged in row 1 or behind it: delete it, and the sa",
         given=lambda folder, _: (write_run(folder) / "finalists.csv").write_text("x\ny\n")),
    Case("analyse run", "run/ensemble.json is damaged, so make the ensemble again: TypeError: ",
         given=lambda folder, _: (write_run(folder) / "ensemble.json").write_text("[3]")),
    searched("cannot make the run wrong.py/run: Not a directory", "", "--out wrong.py/run"),
    Case("run_ray --out " + 300 * "a", ": File name too long"),
    *(Case("analyse run", says, given=edited("run/trials.csv", old, new)) for old, new, says in [
        ("status", "state", "run/trials.csv is not of this run: it has no column 'status'"),
        ("sweep", "", "run/trials.csv is damaged in row 1: strategy '' is not one"),
        (",ok,", ",fine,", "in row 1: status 'fine' is not one"),
        ("sweep,0,", "sweep,x,", "in row 1: trial 'x' is not an integer"),
        ("sweep,0,0,0", "sweep,0,0,1", "in row 1: seed '1' is not the run's, 0"),
        ("sweep,1,1,", "sweep,1,99,", "in row 2: index '99' is not in a grid of 24"),
        ("relu,0.1,", "relu,7,", "in row 1: rate '7' is not what the manifest's grid has there"),
        (",ok,0.", ",ok,x.", "in row 1: val_loss 'x.09999999999999998' is not a number"),
        ("sweep,1,1,", "sweep,0,1,", "in row 2: trial '0' is there a second time"),
    ]),
    Case("analyse run", "run/trials.csv is damaged in row 25: index '0' is there a second time",
         given=lambda folder, _: twice(write_run(folder) / "trials.csv", 1, ",0,", ",24,")),
    Case("analyse run", "in row 1: val_loss '' is not a score",
         given=lambda folder, _: blank(write_run(folder) / "trials.csv", "val_loss")),
    Case("analyse run", "run/trials.csv is damaged in row 1: index '7' is in a table of no grid",
         given=edited("run/trials.csv", "random,0,,", "random,0,7,", of_a_space)),
    Case("analyse run", "row 1: the row is of no configuration of the manifest's space (ValueError",
         given=edited("run/trials.csv", "random,0,,0,", "random,0,,0,7", of_a_space)),
    python('run/trials.csv has the configuration {"a": ', lambda _: Run.open(Path("run")),
           lambda *given: [of_a_space(*given), twice(Path("run/trials.csv"), 1, ",0,,", ",8,,")]),
    Case("analyse run --again 1", "--again needs a grid, and the space has ranges or conditions",
         given=of_a_space),
    Case("publish run out", "run/curves.csv is damaged in row 3: epoch '1' is there a second time",
         given=edited("run/curves.csv", ",2,", ",1,")),
    Case("analyse run", "run/trials.csv cannot be read as a table: No such file or directory",
         given=lambda folder, _: (write_run(folder) / "trials.csv").unlink()),
    Case("analyse small", "trials.parquet is damaged: it has 24 rows, where its manifest says 25",
         given=edited("small/manifest.json", '"trials": 24', '"trials": 25', published)),
    Case("analyse run", "run/again.csv is damaged: write it anew with --again", {},
         lambda folder, _: (write_run(folder) / "again.csv").write_text("trial\nx")),
    Case("analyse run", "cannot write run/comparison.csv: Is a directory",
         given=lambda *given: [made()(*given), a_folder("run/comparison.csv")(*given)]),
    Case("analyse run", "cannot write run/comparison.csv: the disk is full", code=1,
         given=full_disk("comparison.csv.draft")),
    Case("replay run --trials 2 --repeats 2 --out no/such.csv", "cannot write no/such.csv: ",
         given=made()),
    Case("publish run out", "cannot make /out: Directory not empty", {"out/a": ""}, made()),
    Case("merge run out", "cannot make out: cannot write /.out.",
         given=full_disk("curves.csv")),
    Case("merge run file/out", "cannot make file/out: Not a directory", {"file": ""}, made()),
]  # fmt: skip


def twice(file: Path, line: int = -1, old: str = "", new: str = "") -> None:
    """Have a line of a file a second time, with a change."""
    text = file.read_text()
    file.write_text(text + text.splitlines(keepends=True)[line].replace(old, new, 1))


def blank(file: Path, column: str) -> None:
    """Leave a cell of the first row empty."""
    lines = file.read_text().splitlines(keepends=True)
    cells = lines[1].split(",")
    cells[lines[0].split(",").index(column)] = ""
    file.write_text("".join([lines[0], ",".join(cells), *lines[2:]]))


def ray_that(**does: Any) -> Given:
    """A Ray at an address that answers, and then does what is told of its functions."""

    def given(_: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(executor_on_ray, "RayExecutor", Here)
        answers = subprocess.CompletedProcess([], does.pop("ends", 0), b"", does.pop("answer", b""))
        patch.setattr(subprocess, "run", does.pop("run", lambda *_, **__: answers))
        for name in ("init", "shutdown", "is_initialized"):
            patch.setattr(ray, name, does.pop(name, lambda *_, **__: None))
        patch.setattr(ray, "cluster_resources", lambda: {"CPU": does.get("cpus", 1)})
        if "load" in does:
            patch.setattr(Here, "load", does["load"])
        if "folders" in does:
            patch.setattr(cluster, "SHORT_FOLDERS", ())
            patch.setenv("RAY_TMPDIR", "/" + "long/" * 20)

    return given


def of_ray(
    says: str, /, *, code: int = 2, address: str = " --address host:6379", **does: Any
) -> Case:
    line = f"run_ray --problem mine.py{address}"
    return Case(line, says, MINE, ray_that(**does), code)


def on_processes(says: str, module: Any, name: str, does: Any, code: int = 2) -> Case:
    """A search on processes of our own where the system refuses something."""

    def given(_: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, name, does)

    return Case("main run --problem mine.py --executor processes", says, MINE, given, code)


def build(config: dict[str, Any]) -> Any:
    """A model for Python code."""
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(config["units"])])
    model.compile("sgd", "mean_squared_error", metrics=["accuracy"])
    return model


PART = np.zeros((4, 2)), np.zeros((4, 1))


def asked(says: str, /, *, given: Given = lambda folder, patch: None, **options: Any) -> Case:
    """A call of `tuning.search` with these arguments, and else good ones."""
    options = {
        "build_model": build,
        "space": {"units": [1, 2]},
        "load_data": dict.fromkeys(("train", "validation", "test"), PART),
        "workers": 0,
        **options,
    }
    return python(says, lambda _: public.search(out="run", **options), given)


def of_results(says: str, call: Callable[[Any], Any], given: Given = MADE, code: int = 2) -> Case:
    """A call of a method of a run's results."""
    return python(says, lambda _: call(public.open("run")), given, code)


def learner(
    says: str,
    kind: str,
    given: Given = lambda folder, patch: None,
    **settings: Any,
) -> Case:
    """Settings of a strategy that learns which it does not take."""
    space = Space({"units": [1, 2], "rate": Float(0.1, 0.5), "epochs": [4, 8]})
    own = {kind: {"trials": 5, **settings}}
    return python(says, lambda _: samplers.samplers_of(own, space, 0), given)


def without_optuna(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "optuna", None)


def of_functions(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A run of another `build` than that below."""
    digests = {"code": "c", "model": "m", "data": "d", "function build_model": "another"}
    own = made(score=lambda *_: 0.5, axes={"units": [1, 2]}, source="", fingerprint=digests)
    edited("run/manifest.json", '"name": "made"', '"name": "search"', own)(folder, patch)


def with_weights(folder: Path, _: pytest.MonkeyPatch) -> None:
    """A run of functions, with nothing but the weights of its best trial."""
    path = write_run(folder, trials=[0], source="")
    best = BestModels(path, 1, "val_accuracy", "max")
    model = KeptModel(Trial(0, {}, 0, index=0), (("sweep", 0),), False, b"junk", "of a class")
    best.write([model])


def with_a_model(make: Given) -> Given:
    """A run that keeps a file as the model of its first trial."""

    def given(folder: Path, patch: pytest.MonkeyPatch) -> None:
        make(folder, patch)
        model = KeptModel(Trial(0, {}, 0, index=0), (("sweep", 0),), True, b"junk")
        BestModels(folder / "run", 1, "val_accuracy", "max").write([model])

    return given


def with_finalists(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A run whose table of finalists has no rows yet."""
    made()(folder, patch)
    header = (folder / "run" / "trials.csv").read_text().splitlines(keepends=True)[0]
    (folder / "run" / "finalists.csv").write_text(header)


def with_parts(damaged: str = "") -> Given:
    """A run whose tables of parts have no rows yet, or one that is none."""

    def given(folder: Path, patch: pytest.MonkeyPatch) -> None:
        edited("run/manifest.json", '"repeats": 1,', '"repeats": 2,')(folder, patch)
        with Run.open(folder / "run") as run:
            Parts(run).__exit__(None, None, None)
        if damaged:
            with (folder / "run" / damaged).open("a") as file:
                file.write("x\n")

    return given


def parts_counted(_: Path) -> None:
    """A part of a trial is counted."""
    with Run.open(Path("run")) as run, Parts(run) as parts:
        parts.count([("random", outcome_of(Trial(0, run.manifest.grid[0], 0, 1, 0), 0.5))])


def counted_again(_: Path) -> None:
    """A training of a finalist is counted."""
    with Run.open(Path("run")) as run, FinalistsTable(run) as table:
        trial = Trial(0, run.manifest.grid[0], 1, 1, 0)
        table.count([(table.name(trial.point), outcome_of(trial, 0.5))])


def share(_: Path) -> None:
    """Another strategy takes the model that a run's sweep has kept."""
    with Run.open(Path("run")) as run:
        run.copy([("random", Trial(0, {}, 0, index=0))])
        run.share_models()


def changing(folder: Path) -> None:
    """A search whose model is another one when it is built for the third time, to be kept."""
    built: list[int] = []

    def build_model(config: dict[str, Any]) -> Any:
        built.append(1)
        return build({"units": len(built)})

    parts = dict.fromkeys(("train", "validation", "test"), PART)
    options = {"trials": 1, "workers": 0, "engine": "fit", "backend": "jax"}
    public.search(build_model, {"a": [1]}, parts, **options).best_model()


def with_lock(lock: Any) -> Callable[[dict[str, Any]], Any]:
    """A function that cannot be sent to another process."""
    return lambda config: (lock, build(config))


def wrong_pickle(self: Any) -> Any:
    raise TypeError("no")


BAD_SETTINGS = [
    ("trials takes a number from 1, not 0", {"trials": 0}),
    ("epochs_min takes a number from 1, not 0", {"epochs_min": 0}),
    ("epochs_min is 9: a rung above the largest epoch, 8", {"epochs_min": 9}),
    ("there is a prior of 'depth', which is not in the space", {"prior": {"depth": {}}}),
    ("the prior of 'rate' needs a mean and a width: it has a range", {"prior": {"rate": {"1": 2}}}),
    ("the prior of 'units' has a weight of '9', which is not a value of it",
     {"prior": {"units": {"9": 1}}}),
    ("the prior of 'units' needs weights of 0 or more, not all 0",
     {"prior": {"units": {"1": 0, "2": 0}}}),
    ("the prior of 'units' has a mean and a width, but it has no range",
     {"prior": {"units": {"mean": 1, "width": 1}}}),
    ("the prior of 'rate' has the mean 3, which is not between 0.1 and 0.5",
     {"prior": {"rate": {"mean": 3, "width": 1}}}),
    ("the prior of 'rate' has the width 0, not above 0",
     {"prior": {"rate": {"mean": 0.2, "width": 0}}}),
    ("a configuration to start with is not of the space: the configuration lacks hyperparameter '",
     {"start": [{"units": 1}]}),
    ("a configuration to start with is not of the space: 3 is not a value of hyperparameter 'uni",
     {"start": [{"units": 3, "rate": 0.2, "epochs": 8}]}),
]  # fmt: skip
BAD_OPTUNA = [
    ("Optuna has no sampler 'TPE': there are ", {"sampler": "TPE"}),
    ("Optuna's sampler GridSampler cannot be made without settings: ", {"sampler": "GridSampler"}),
]


def estimated(says: str, y: Any = (0, 0, 1, 1), *, weights: Any = None, **options: Any) -> Case:
    """A search as an estimator of scikit-learn that goes wrong."""

    def call(_: Path) -> None:
        from tuning.api.scikit.search import KerasSearchCV

        x, target = np.zeros((len(y), 2), "float32"), np.asarray(y)
        asked = {"n_iter": 1, "cv": 2, "engine": "fit", "cache": False, "random_state": 0} | options
        given = {"build_model": build_scored, "space": {"units": [1]}} | asked
        KerasSearchCV(**given).fit(x, target, weights)

    return python(says, call)


def build_scored(config: dict[str, Any]) -> Any:
    """A classifier that reports a function of the user's own, too."""
    import keras

    def mine(y: Any, predicted: Any) -> Any:
        return keras.ops.mean(predicted)

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(config["units"], "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[mine])
    return model


def build_two_outputs(config: dict[str, Any]) -> Any:
    """A model that an estimator cannot be."""
    import keras

    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)])
    model.compile("sgd", "mse")
    return model


def build_diverging(config: dict[str, Any]) -> Any:
    """A model whose loss is no number."""

    def loss(y: Any, predicted: Any) -> Any:
        return predicted * float("nan")

    model = build_scored(config)
    model.compile("sgd", loss if config["units"] else "mse")
    return model


def of_one_configuration(_: Path) -> None:
    """The training of one configuration as an estimator that diverges."""
    from tuning.api.scikit.models import KerasModel

    model = KerasModel(build_diverging, {"units": 1}, engine="fit", cache=False, random_state=0)
    model.fit(np.zeros((4, 2), "float32"), np.asarray([0, 0, 1, 1]))


OF_ESTIMATORS = [
    estimated("task takes 'classification', 'regression' or None, not 'rank'", task="rank"),
    estimated("build_model has to be a function that returns a model, not str", build_model="m"),
    estimated("a target of the type multiclass-multioutput cannot be classified",
              [(0, 2), (1, 0), (2, 1), (0, 1)]),
    estimated("a classifier takes at least two classes, and y has only one class", [1, 1, 1, 1]),
    estimated("y is one target", build_model=build_two_outputs, task="regression"),
    estimated("y has 3 classes, and the model that build_model returns has 1 outputs",
              [0, 1, 2, 2]),
    estimated("y has 2 columns, and the model that build_model returns has 1 outputs",
              [(0, 1), (1, 0), (1, 1), (0, 0)]),
    estimated("sample_weight has the shape (3,), and takes one weight for each of 4 rows",
              weights=[1, 1, 1]),
    estimated("sample_weight takes weights that are finite and not negative, and not all zero",
              weights=[0, 0, 0, 0]),
    estimated("target takes a score of one of Keras' metrics, and not r2", scoring="r2",
              task="regression", target=0.5, build_model=build),
    estimated("scoring names no score: leave it out for accuracy or R²", scoring=[]),
    estimated("scoring 'val_auc' is not among what the models report: val_loss, val_mine",
              scoring="val_auc"),
    estimated("Keras does not know whether more or less of mine is better: take a scorer of scikit",
              scoring="val_mine"),
    estimated("scoring takes a name, a function or several, not 3", scoring=3),
    estimated("scoring takes None, a scorer of scikit-learn or a metric of the model such as 'val_",
              scoring="aucc"),
    estimated("refit takes one of the names a, b, a function or False where scoring has names, not",
              scoring={"a": "accuracy", "b": "accuracy"}),
    estimated("scoring returns no score 'score': refit takes the name of one",
              scoring=lambda *_: {"a": 1.0}),
    estimated("scoring 'roc_auc' is computed once all models of a fold are trained, and strategy '",
              scoring="roc_auc", strategy="packs"),
    estimated("n_jobs takes None, a number of workers or -1, not 0", n_jobs=0),
    estimated("error_score takes a number or 'raise', not 'no'", error_score="no"),
    estimated("2 of 2 trainings failed: ", build_model=build_diverging),
    python("the model could not be trained: ", of_one_configuration),
]  # fmt: skip

OF_PYTHON = [
    *OF_ESTIMATORS,
    asked("nothing to search: let trials be at least 1, or name a sweep", trials=0),
    of_results("a trial of this run is the mean of 2 trainings, which no few lines repeat",
               lambda results: results.how_to_repeat(0), with_parts()),
    Case("analyse run --again 3", "--again takes a run whose trials are one training each, and run",
         given=with_parts()),
    asked("problem 'search': callbacks has to be a list of Keras callbacks, or a", callbacks=3),
    asked("callbacks are those of Keras; what hears of the search's progress goes to progress=",
          callbacks=[Progress()]),
    asked("groups are of folds: say how many folds there are", groups=[1, 2]),
    asked("give folds or validation_split, not both", folds=2, validation_split=0.5),
    python("run/parts.csv is damaged in row 1 or behind it", lambda _: load_parts("run"),
           with_parts("parts.csv")),
    python("run/part_curves.csv is damaged in row 1 or behind it", lambda _: load_parts("run"),
           with_parts("part_curves.csv")),
    python("cannot write run/parts.csv: Is a directory", parts_counted,
           lambda *given: [made()(*given), a_folder("run/parts.csv")(*given)]),
    python("cannot write run/parts.csv: the disk is full", parts_counted,
           full_disk("parts.csv", with_parts()), 1),
    of_results("of takes 'trials' or 'finalists', not 'x'", lambda results: results.choice(of="x")),
    of_results("finalists are those of all strategies together: leave out strategy",
               lambda results: results.best_model("random", of="finalists")),
    of_results("the run has no finalists: a search with finalists=N trains its N best configurat",
               lambda results: results.best_model(of="finalists")),
    of_results("k takes a whole number from 1, not 0", lambda results: results.ensemble(0)),
    of_results("selection takes 'best' or 'greedy', not 3", lambda results: results.ensemble(1, 3)),
    of_results("bags are of the selection 'greedy': 'best' takes each model once",
               lambda results: results.ensemble(1, bags=2)),
    of_results("takes as many models that Keras loads by itself, and run keeps 0 (of 1 it has weig",
               lambda results: results.ensemble(1), with_weights),
    of_results("an ensemble is scored on the data, and the run was made by functions: take the",
               lambda results: results.ensemble(1), with_a_model(made(source=""))),
    of_results("no ensemble of run can be scored: the problem's data has changed",
               lambda results: results.ensemble(1), with_a_model(
                   own(lambda about: about["problem"]["fingerprint"].update(data="d")))),
    of_results("the run has no ensemble: results.ensemble(k) makes one",
               lambda results: results.ensemble_scores()),
    python("cannot write ensemble.keras: the disk is full",
           lambda _: write_ensemble(Path(), b"model", Ensemble("best", 1, [], {}, {})),
           full_disk("ensemble.keras.draft", lambda *_: None), 1),
    python("cannot write run/finalists.csv: Is a directory", counted_again,
           lambda *given: [made()(*given), a_folder("run/finalists.csv")(*given)]),
    python("cannot write run/finalists.csv: the disk is full", counted_again,
           full_disk("finalists.csv", with_finalists), 1),
    of_results("too few trials have a result to choose by", lambda results: results.choice(),
               made(trials=[0, 1])),
    asked("time takes a duration above 0, such as 60s, not -1 s", time=-1),
    asked("there is no strategy 'radnom': did you mean 'random'?", strategy="radnom"),
    asked("there are 2 configurations to start with, and only 1 trials", trials=1,
          start=[{"units": 1}, {"units": 2}]),
    asked("run is another run: its function build_model has changed", given=of_functions),
    asked("problem 'search': build_model has to be a function, not int", build_model=3),
    asked("build_model uses 'lock', of type _thread.lock, which cannot be sent to workers: make",
          build_model=with_lock(threading.Lock())),
    asked("build_model cannot be sent to workers: ", build_model=type(
        "Own", (), {"__call__": lambda *_: None, "__reduce__": wrong_pickle})()),
    asked("validation_split takes a number above 0 and below 1, not 2", validation_split=2),
    asked("its data has splits already, so leave out validation_split", validation_split=0.5),
    asked("data has to be a function, a dict of splits, or (x, y) with validation", load_data=3),
    asked("validation_split=0.9 leaves none of 4 rows to train with", load_data=PART,
          validation_split=0.9),
    asked("class_weight is an axis of the space and given beside it: give one of them",
          space={"units": [1], "class_weight": [None, "balanced"]}, class_weight="balanced"),
    asked("class_weight and sample_weight cannot be given together, as in Keras' fit",
          space={"units": [1], "sample_weight": [None, "balanced"]}, class_weight={0: 1}),
    asked("axis 'class_weight' takes None, 'balanced' or a dict of classes and their weights, not "
          "0.5 to 2", space={"units": [1], "class_weight": Float(0.5, 2.0)}),
    asked("axis 'class_weight' takes None, 'balanced' or a dict of classes and their weights, not "
          "'blanced'", space={"units": [1], "class_weight": [None, "blanced"]}),
    asked("class_weight: its classes are whole numbers, not 'two'", class_weight={"two": 1}),
    asked("class_weight: the weight of class 1 is a finite number, not None",
          class_weight={1: None}),
    asked("sample_weight takes None, 'balanced' or a function of (x, y), not [1, 1, 1, 1]: weights "
          "in an array stand behind y in a split of the data", sample_weight=[1, 1, 1, 1]),
    asked("train has sample weights already, so leave out class_weight (as in Keras' fit)",
          load_data=dict.fromkeys(("train", "validation"), (*PART, np.ones(4))),
          class_weight="balanced"),
    asked("train y has several arrays: classes are weighed of a single output",
          load_data=dict.fromkeys(("train", "validation"), (PART[0], [PART[1], PART[1]])),
          class_weight={0: 1}),
    asked("train y has the shape (4, 1, 1): classes are weighed of one class a row",
          load_data=dict.fromkeys(("train", "validation"), (PART[0], np.ones((4, 1, 1)))),
          sample_weight="balanced"),
    asked("class_weight takes None, 'balanced' or a dict of classes and their weights, not 3",
          class_weight=lambda config: 3),
    asked("sample_weight returned an array of type float64 and shape (2,), not a number for each "
          "of 4 rows", sample_weight=lambda x, y: np.ones(2)),
    asked("Keras runs on jax in this process already, so tensorflow needs workers of their own",
          backend="tensorflow"),
    asked("a trial's time and memory are limited by ending its process: let there be workers, at",
          trial_timeout=5),
    python("cannot sweep 9 configurations: there are 2",
           lambda _: samplers.SweepSampler(Grid({"a": [1, 2]}), trials=9)),
    python("random search over trajectories needs several values of epochs, in all configurations",
           lambda _: samplers.RandomSampler(Grid({"a": [1]}), 1, 0, trajectories=True)),
    *(learner(says, "halving", **settings) for says, settings in BAD_SETTINGS),
    learner("compile_seconds takes a number of seconds from 0, not -1", "packs",
            compile_seconds=-1),
    *(learner(says, "optuna", **settings) for says, settings in BAD_OPTUNA),
    learner("the strategy 'optuna' needs Optuna: pip install 'tuning[optuna]'", "optuna",
            given=without_optuna),
    python("the table has no curve of configuration 0, of which 1 of 2 epochs are asked for",
           lambda _: answer(Trial(0, {"epochs": 2}, 0, 1, 0), Outcome(
               Trial(0, {"epochs": 2}, 0, 2, 0), "ok", "fit", "jax"))),
    Case("replay run --sampler halving --trials 2", "the strategy 'halving' chooses what to train "
         "together, so it needs a table of the whole grid", given=made(trials=range(9))),
    python("'a b' cannot name a strategy: take letters, digits and _",
           lambda _: samplers.register("a b")),
    python("learns from outcomes, so no shard of it can be trained alone",
           lambda _: samplers.ShardSampler(Climber(Grid({"a": [1, 2]}), 2, 0), lambda _: True)),
    python("cannot write best/sweep-0.keras: the disk is full",
           lambda _: BestModels(Path(), 1, "val_loss", "min").write(
               [KeptModel(Trial(0, {}, 0), (("sweep", 0),), True, b"model")]),
           full_disk("sweep-0.keras.draft", lambda *_: None), 1),
    python("cannot write run/best: the disk is full", share,
           full_disk("random-0.weights.h5.draft", with_weights), 1),
    of_results("no trial of the strategy 'other' has a result: the column error of the table says",
               lambda results: results.best(1, "other")),
    of_results("no trial has a result: the column", lambda results: results.best(),
               made(score=lambda *_: None)),
    of_results("run has no trials yet", lambda results: results.best(), made(trials=[])),
    of_results("the model of trial 3 of sweep was not kept: a search with keep=N keeps the N best",
               lambda results: results.best_model(), made(score=lambda _, i: float(i == 3))),
    of_results("only weights were kept (of a class), and the run was made by functions: best_model",
               lambda results: results.best_model(), with_weights),
    of_results("only names are known of activation (relu), so that build_model cannot be given",
               lambda results: results.best_model(build_model=build),
               edited("run/manifest.json", '"values": {}',
                      '"values": {"activation": {"relu": {"lost": "function"}}}', with_weights)),
    of_results("cannot load run/best/sweep-0.keras: ", lambda results: results.best_model(),
               lambda *given: [with_weights(*given), Path("run/best/sweep-0.weights.h5").rename(
                   "run/best/sweep-0.keras")]),
    of_results("run/best/sweep-0.weights.h5 does not fit the model that build_model makes: OSError",
               lambda results: results.best_model(build_model=lambda _: build({"units": 1})),
               with_weights),
    python("it cannot be saved: ValueError: build_model returned other variables than those",
           changing),
    of_results("no trial 99: take a row of results.trials",
               lambda results: results.how_to_repeat(99)),
    of_results("several strategies have a trial 0: take a row", lambda r: r.how_to_repeat(0),
               edited("run/trials.csv", "sweep,1,", "random,0,")),
    of_results("run is there already: name a new directory",
               lambda results: results.save(results.path)),
    of_results("cannot make file/new: Not a directory",
               lambda results: results.save(results.path.parent / "file" / "new"),
               lambda *given: [MADE(*given), (given[0] / "file").touch()]),
    python("there is no run at run", lambda _: public.open("run")),
]  # fmt: skip


OF_RAY = [
    Case("main run --executor spark", "argument --executor: invalid choice: 'spark'"),
    Case("main run --executor processes --address host:6379", "--executor processes trains on "
         "this machine alone: leave out --address host:6379"),
    asked("executor takes processes or ray, not 'spark'", executor="spark"),
    on_processes("no worker process can be started: OSError: no memory", subprocess, "Popen",
                 raising(OSError("no memory")), 1),
    on_processes("the data cannot be put where the workers read it: there is no folder for tempo",
                 shared, "_nameless", list),
    on_processes("the data cannot be put where the workers read it: OSError: ", shared, "_write",
                 raising(OSError(errno.ENOSPC, "No space left on device"))),
    of_ray("connected to a Ray already: leave out the address host:6379, or call ray.shutdown()",
           is_initialized=lambda: True),
    of_ray("no Ray answers at host:6379: gave up after 20 seconds",
           run=raising(subprocess.TimeoutExpired("python", 20))),
    of_ray("cannot look for Ray at host:6379: OSError", run=raising(OSError("no memory"))),
    of_ray("the Ray at host:6379 is of another version than this one, or its Python is: install",
           answer=b"Version mismatch"),
    of_ray("no Ray answers at host:6379", ends=1),
    of_ray("the Ray cluster at host:6379 has no CPUs to train on: add a node that has", cpus=0),
    of_ray("Ray did not start: RuntimeError: no", code=1, init=raising(RuntimeError("no"))),
    of_ray("Ray failed: RayError: lost", code=1, load=raising(ray.exceptions.RayError("lost"))),
    of_ray("/ray, whose path is longer than 40 bytes: set TMPDIR to a shorter one",
           address="", folders=()),
]  # fmt: skip

OF_DATA += [
    of_variant("returns train and validation and test for n=3, and train and validation for others",
               "if config['n'] == 3: data['test'] = part"),
    of_variant("is cut into 6 folds for n=3, and into 8 for others",
               "if config['n'] == 3: data['validation'] = np.zeros((2, 2)), np.zeros(2)",
               folds=LeaveOneOut()),
    python("build_model or load_data uses 'lock', of type _thread.lock, which cannot be sent to",
           lambda _: problem_of(lambda c: None, {"n": [2]}, with_lock(threading.Lock()))),
    python("returns other data of n=3 each time: seed what it draws at random", drawn_anew),
    python("an ensemble averages models of the same data, and load_data reads n: the validation",
           ensemble_of_variants),
]  # fmt: skip

CASES = {
    f"{i}: {case.says}": case
    for i, case in enumerate(
        (
            *OF_OPTIONS,
            *OF_PROBLEMS,
            *OF_DATA,
            *OF_RUNS,
            *OF_FILES,
            *OF_PYTHON,
            *OF_RAY,
        )
    )
}
known: dict[str, Heard] = {}


def heard_of(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Heard:
    """What came of a case, which is tried once."""
    if name in known:
        return known[name]
    case, folder = CASES[name], tmp_path / str(len(known))
    folder.mkdir()
    script, *arguments = shlex.split(case.line)
    with monkeypatch.context() as patch, _noted(patch) as made:
        patch.chdir(folder)
        patch.setattr("sys.argv", [f"{script}.py"])
        patch.setattr("sys.path", sys.path.copy())
        patch.setattr(os, "sysconf", os.sysconf)
        patch.setenv("KERAS_BACKEND", "jax")
        for file, text in case.files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        kept = case.given(folder, patch)
        before = _content(folder)
        if case.call is None:
            code = getattr(cli, script)(arguments)
        else:  # it ends as a command does
            code = exit_code(functools.partial(case.call, folder), f"{script}.py")
        del kept
    said = capsys.readouterr()
    left = sorted(name for name, _ in before.items() ^ _content(folder).items())
    lines = set[tuple[str, int]]().union(*(lines for text, lines in made if text in said.err))
    known[name] = Heard(code, said.out, said.err.replace(str(folder), ""), left, lines)
    return known[name]


@contextlib.contextmanager
def _noted(patch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, set[tuple[str, int]]]]]:
    """Note what each error says that is made meanwhile, and the lines where and for which it is."""
    made: list[tuple[str, set[tuple[str, int]]]] = []

    def note(error: Exception, text: str) -> None:
        lines, frame = set(), inspect.currentframe()
        while frame := frame.f_back if frame else None:
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        made.append((" ".join(text.split()), lines))

    for kind in (errors.TuningError, errors.RunStopped, argparse.ArgumentTypeError):
        patch.setattr(kind, "__init__", note, raising=False)
    yield made


def _content(folder: Path) -> dict[str, bytes]:
    """All that is in a folder but locks, which are let go of."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if path.name != "lock"
    }


@pytest.mark.parametrize("name", CASES)
def test_an_error_is_one_sentence_and_leaves_nothing(name, tmp_path, monkeypatch, capsys, worker):
    case = CASES[name]
    heard = heard_of(name, tmp_path, monkeypatch, capsys)
    assert case.says in heard.said
    assert heard.code == case.code
    line, end, rest = heard.said.partition("\n")
    if case.code == 2:
        assert (end, rest) == ("\n", "")
        assert (heard.out, heard.left) == ("", [])
    else:  # how to go on is said before
        line = heard.said.splitlines()[-1]
    script = case.line.split()[0]
    program = f"{script}.py" if script != "main" else "tuning"
    assert re.match(f"{program}( run)?: ", line)
    assert len(line) <= LONGEST + len(max(case.line.split(), key=len)), len(line)
    own = re.split(r"\w*Error: ", line)[0]  # without what it quotes
    assert not re.search(NO_SENTENCE, own)


def test_every_error_is_provoked_and_every_phrase_said(tmp_path, monkeypatch, capsys, worker):
    heard = [heard_of(name, tmp_path, monkeypatch, capsys) for name in CASES]
    reached = set.union(*(each.lines for each in heard))
    package = Path(cli.__file__).parent.parent
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in package.rglob("*.py")}
    raised = [(file, *each) for file, tree in trees.items() for each in _raised(tree)]
    assert len(raised) > 100
    missing = {name for file, node, _, name in raised if (str(file), node.lineno) not in reached}
    assert missing == set(UNREACHED)

    texts = {  # the functions that return some
        node.name: node
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (ast.unparse(node.returns or node) in TEXTS or node.name in THROUGH)
    }
    found: dict[str, ast.AST] = {name: texts[name] for name in THROUGH}
    new = [
        *found.values(),
        *(around for _, _, around, name in raised if around and name not in UNREACHED),
    ]
    while new:
        calls = [node for node in ast.walk(new.pop()) if isinstance(node, ast.Call)]
        for name in {ast.unparse(call.func) for call in calls} & set(texts) - set(found):
            found[name] = texts[name]
            new.append(texts[name])
    said = "\n".join(each.said for each in heard)
    phrases = [(name, phrase) for name in found for phrase in _phrases(found[name])]
    assert len(phrases) > 30
    assert [each for each in phrases if not re.search(each[1], said)] == []


def _raised(tree: ast.AST, around: ast.AST | None = None, name: str = "") -> Iterator[Any]:
    """All that raises an error of a user's, or has a check raise it; its function and its name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from _raised(node, node, f"{name}.{node.name}".strip("."))
            continue
        call = node.exc if isinstance(node, ast.Raise) else node
        if isinstance(call, ast.Call):
            called = ast.unparse(call.func)
            of_users = not hasattr(builtins, called) and called not in NO_ERRORS
            if of_users if isinstance(node, ast.Raise) else called == "_check":
                yield node, around, name
        yield from _raised(node, around, name)


def _phrases(tree: ast.AST) -> Iterator[str]:
    """The texts of several words in a function, each as a regular expression."""
    inside = {
        id(child)  # the pieces of a text, a docstring, and what is looked for
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Expr | ast.Compare)
        for child in ast.iter_child_nodes(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [each.value if isinstance(each, ast.Constant) else "" for each in node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = [] if id(node) in inside else [node.value]
        else:
            continue
        if any(re.search("[a-z] [a-z]|^ ?[a-z]+ $", part) for part in parts):
            yield ".*".join(map(re.escape, parts))


@pytest.mark.parametrize("option", ["--explain", "--estimate"])
def test_what_writes_nothing_says_that_it_was_stopped(option, tmp_path):
    (tmp_path / "slow.py").write_text(
        PROBLEM + "import time\nopen('begun', 'w').close()\ntime.sleep(600)"
    )
    process = subprocess.Popen(
        command("run_ray.py", "--problem", "slow.py", option),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not (tmp_path / "begun").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "Stopped.\n")
    assert process.returncode == 130
