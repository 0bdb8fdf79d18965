"""What the tests share: small problems, and the command line in a process of its own."""

from __future__ import annotations

import collections
import functools
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.integration.executors import closed, cluster  # noqa: F401
from tests.made import write_run
from tuning import Problem, load_problem
from tuning.engines import fit as engine
from tuning.engines.kept import forget_programs
from tuning.execution.worker import Job, prepare, probe, train
from tuning.packing.axes import Packing
from tuning.problem.data import Data
from tuning.problem.problem import load_data
from tuning.samplers import registry
from tuning.trial import Outcome, Trial, epochs

settings.register_profile("untimed", deadline=None)  # machines are shared
settings.load_profile("untimed")
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a job that a shell runs in the background; what the tests start would not hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" not in os.environ:
    # Of all processes of the tests: plain Keras compiles the same step for every model.
    _cache = tempfile.TemporaryDirectory(prefix="tuning-tests-")  # deleted when the process ends
    os.environ["XDG_CACHE_HOME"] = _cache.name
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(_cache.name) / "jax")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

REPOSITORY = Path(__file__).resolve().parent.parent
PROBLEMS = Path(__file__).resolve().parent / "problems"
TINY = PROBLEMS / "tiny.py"

Command = Callable[..., subprocess.CompletedProcess[str]]


def command(script: str, *arguments: object) -> list[str]:
    """The words that run one of the scripts, or ``tuning``."""
    if script == "tuning":
        return [sys.executable, "-m", "tuning", *map(str, arguments)]
    return [sys.executable, str(REPOSITORY / "scripts" / script), *map(str, arguments)]


DIVERGING = (  # replacements by which the tiny problem diverges at the higher learning rate
    ("[0.001, 0.1]", "[0.001, 1e38]"),
    ("Adam", "SGD"),
    ('"binary_crossentropy"', '"mse"'),
    ('"sigmoid"', '"linear"'),
)


def changed(folder: Path, *replacements: tuple[str, str], source: Path = TINY) -> Path:
    """A problem file with some of its text replaced, each piece of which is in it once."""
    text = source.read_text()
    for old, new in replacements:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "changed.py"
    path.write_text(text)
    return path


def packing_of(path: str | Path) -> tuple[Problem, Packing]:
    """A problem, and how its configurations share programs."""
    text = Path(path).read_text() if Path(path).is_file() else ""
    return load_problem(str(path)), _packing_of(str(path), text)


@functools.cache
def _packing_of(path: str, text: str) -> Packing:
    problem = load_problem(path)
    return probe(problem, load_data(problem), Job(0, "jax"), pack=True).packing


def trial_at(problem: Problem, index: int, seed: int = 0) -> Trial:
    """The trial of a grid index."""
    configuration = problem.grid[index]
    return Trial(index, configuration, seed, epochs(configuration), index)


def evaluated_apart(
    files: Mapping[Path, tuple[Mapping[str, Any], int]], backend: str = "jax"
) -> dict[Path, dict[str, float]]:
    """What ``.keras`` files evaluate to in a process that has only Keras.

    Parameters
    ----------
    files : mapping of Path to (dict, int)
        The rows to score by the name to give the scores, and the batch size.
    backend : str
        That Keras runs on there.
    """
    process = _with_only_keras(backend)
    assert process.stdin is not None
    assert process.stdout is not None
    found = {}
    for path, given in files.items():
        path.with_suffix(".pickle").write_bytes(pickle.dumps(given))
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        found[path] = json.loads(process.stdout.readline())
    return found


@functools.cache
def _with_only_keras(backend: str) -> subprocess.Popen[str]:
    """A process that evaluates files one by one; it ends when its input does, with this process."""
    return subprocess.Popen(
        [sys.executable, REPOSITORY / "tests" / "clean.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tempfile.gettempdir(),
        env={**os.environ, "KERAS_BACKEND": backend},
    )


def train_pack(
    problem: Problem, data: Data, indices: list[int], seed: int, packing: Packing
) -> list[Outcome]:
    """The outcomes of a pack of grid indices, in their order."""
    trials = [trial_at(problem, index, seed) for index in indices]
    reports = train(problem, data, trials, Job(seed, "jax", packing=packing))
    told = [outcome for report in reports for outcome in report.outcomes]
    assert sorted(outcome.trial.index for outcome in told) == sorted(indices)
    return sorted(told, key=lambda outcome: indices.index(outcome.trial.index))


def fit(problem: Problem, data: Data, index: int, seed: int = 0, why: str = "") -> Outcome:
    """The outcome of a grid index that Keras' own `fit` trains."""
    return engine.fit_on(problem, data, trial_at(problem, index, seed), why).outcome


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults", type=int, default=1, metavar="N", help="of each kind, for pytest -m faults"
    )
    parser.addoption(
        "--one-in",
        type=int,
        default=1,
        metavar="N",
        help="for pytest -m slow: leave out the others",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one in so many of what is slow, in every file the first; begin with the longest files.

    A file's tests run in one process, so the last file to begin had better be a short one.
    """
    every, kept, seen = config.getoption("--one-in"), [], collections.Counter[str]()
    for item in items:
        slow = item.get_closest_marker("slow") is not None
        if not slow or seen[str(item.path)] % every == 0:
            kept.append(item)
        seen[str(item.path)] += slow
    items[:] = sorted(kept, key=lambda item: item.path.parent != REPOSITORY / "tests")


@pytest.fixture(scope="session")
def worker() -> None:
    """Makes the test's own process what a Ray worker is."""
    prepare("jax")


@pytest.fixture(autouse=True)
def _programs_forgotten() -> Iterator[None]:
    """No test takes programs of another from memory."""
    yield
    forget_programs()


@pytest.fixture(autouse=True)
def _strategies_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the strategies that another has registered."""
    monkeypatch.setattr(registry, "_registered", registry.strategies())


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run without training: `tests.made.write_run`."""
    return functools.partial(write_run, tmp_path)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a script in an empty directory, as a user would."""
    monkeypatch.chdir(tmp_path)

    def call(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(script, *arguments),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return call
