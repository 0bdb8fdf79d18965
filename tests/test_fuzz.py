"""Anything at all in the files a user gives: nothing but our own errors comes out."""

import contextlib
import json
import shutil
from pathlib import Path

import keras
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tuning
from tests.made import AXES, write_run
from tuning import Grid, RunStopped, TuningError, load_curves, load_problem, load_results, publish
from tuning.cli.commands import analyse, merge
from tuning.problem.problem import load_data
from tuning.runs.manifest import read_manifest
from tuning.runs.run import Run
from tuning.samplers import trial_at
from tuning.trial import KeptModel

FILES = ("trials.csv", "curves.csv", "manifest.json", "best/sweep-5.keras", "best/sweep-5.json")
FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[*HealthCheck],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3)
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def damage(draw) -> tuple[str, str, float, float, bytes]:
    """What is done to a file: where from and where to, as shares of its length, and with what."""
    places = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    how = draw(st.sampled_from(["cut", "drop", "double", "write", "reverse"]))
    return draw(st.sampled_from(FILES)), how, *places, draw(st.binary(min_size=1, max_size=30))


def damaged(content: bytes, how: str, start: int, end: int, other: bytes) -> bytes:
    part = content[start:end]
    match how:
        case "cut":
            return content[:start]
        case "drop":
            part = b""
        case "double":
            part += part
        case "write":
            part = other
        case "reverse":
            part = part[::-1]
    return content[:start] + part + content[end:]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run of eight trials, with the model of the best."""
    folder = tmp_path_factory.mktemp("whole")
    path = write_run(folder, trials=range(8))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.save(folder / "best.keras")
    with Run.open(path) as run:
        ((_, best),) = run.bars()["sweep"]
        trial = trial_at(Grid(AXES), best, best, 0)
        kept = KeptModel(trial, (("sweep", best),), True, (folder / "best.keras").read_bytes())
        run.keep([kept])
    return path


def attempt(do, *arguments) -> None:
    with contextlib.suppress(TuningError, RunStopped):
        do(*arguments)


def every_reader(run: Path) -> None:
    """All that reads a run: what is not an error of ours fails the test."""
    for read in (read_manifest, load_results, load_curves):
        attempt(read, run)
    attempt(lambda: tuning.open(run).best_model())
    attempt(publish, run, run.with_name("published"))
    assert merge([str(run), str(run.with_name("merged"))]) in (0, 2)
    attempt(lambda: Run.open(run).close())
    for read in (load_results, load_curves):
        attempt(read, run)


@FEW
@given(st.lists(damage(), min_size=1, max_size=3))
def test_damaged_files(whole, tmp_path_factory, damages):
    run = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(whole, run)
    for name, how, start, end, other in damages:
        content = (run / name).read_bytes()
        at, to = round(start * len(content)), round(end * len(content))
        (run / name).write_bytes(damaged(content, how, at, to, other))
    every_reader(run)


def nodes(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(inner, (*path, key))


@FEW
@given(st.data())
def test_edited_manifests(whole, tmp_path_factory, data):
    run = tmp_path_factory.mktemp("edited") / "run"
    shutil.copytree(whole, run)
    manifest = json.loads((run / "manifest.json").read_text())
    *above, last = data.draw(st.sampled_from(list(nodes(manifest))[1:]))
    inside = manifest
    for key in above:
        inside = inside[key]
    if isinstance(inside, dict) and data.draw(st.booleans()):
        del inside[last]
    else:
        inside[last] = data.draw(json_values)
    (run / "manifest.json").write_text(json.dumps(manifest))
    every_reader(run)
    assert analyse([str(run)]) in (0, 2)


@FEW
@given(
    st.one_of(
        scalars,
        st.lists(scalars, max_size=3),
        st.dictionaries(
            scalars, st.one_of(scalars, st.lists(st.one_of(scalars, st.lists(scalars)))), max_size=4
        ),
    )
)
def test_any_grid(axes):
    attempt(lambda: [Grid(axes)[0], repr(Grid(axes)), len(Grid(axes))])


VALUES = [
    "None", "7", "'text'", "[]", "{}", "object()", "lambda *a, **k: None", "lambda: 1 / 0",
    "lambda: exit()", "Grid({'a': [1]})", "np.zeros(3)", "float('nan')", "['val_loss']",
    "{'train': 1, 'validation': 2, 'test': 3}", "lambda: {'train': 1, 'validation': 2, 'test': 3}",
    "lambda: dict.fromkeys(('train', 'validation', 'test'), (np.zeros((3, 2)), np.zeros(3)))",
    "lambda: dict.fromkeys(('train', 'validation', 'test'), ({'a': np.zeros(3)}, [[1], [1, 2]]))",
    "lambda: dict.fromkeys(('train', 'validation', 'test'), (np.array(['a']), {1: 2}))",
]  # fmt: skip
NAMES = ("grid", "load_data", "build_model", "metric", "mode", "references")


@FEW
@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)),
    st.sampled_from(["", "1 / 0", "raise SystemExit", "def", "\0", "import nothing_like_it"]),
)
def test_problem_files_of_many_shapes(tmp_path_factory, names, line):
    path = tmp_path_factory.mktemp("problems") / "mine.py"
    defined = "".join(f"{name} = {value}\n" for name, value in names.items())
    path.write_text(f"import numpy as np\nfrom tuning import Grid\n{defined}{line}\n")
    attempt(lambda: load_data(load_problem(str(path))))


@FEW
@given(st.binary(max_size=60))
def test_problem_files_of_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("problems") / "mine.py"
    path.write_bytes(content)
    attempt(load_problem, str(path))


def test_what_we_did_not_write_is_not_overwritten(tmp_path, whole):
    for name in ("cat.jpg", "trials.csv"):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_bytes(b"mine")
        with pytest.raises(TuningError):
            Run.create(folder, read_manifest(whole))
        with pytest.raises(TuningError):
            publish(whole, folder)
        assert merge([str(whole), str(folder)]) == 2
        assert [path.read_bytes() for path in folder.iterdir()] == [b"mine"]
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
        shutil.rmtree(folder)
