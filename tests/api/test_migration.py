"""The files of docs/scikit-learn.md, before and after: they run, and find as good a model."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.test_readme import PAGES, blocks, printed_by

FOLDER = REPOSITORY / "docs" / "migration"


def score_printed_by(name: str) -> float:
    """The score in the last line that a file prints."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "KERAS_BACKEND": "jax",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1].split()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["scikeras", "keras_tuner"])
def test_after_finds_as_good_a_model_as_before(peer):
    after = score_printed_by(f"after_{peer}")
    assert after > 0.9
    if importlib.util.find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")
    assert score_printed_by(f"before_{peer}") == pytest.approx(after, abs=0.05)


def test_the_page_links_every_file():
    linked = set(re.findall(r"\(migration/(\w+\.py)\)", PAGES["scikit-learn"]))
    assert linked == {path.name for path in FOLDER.glob("*.py")}


@pytest.mark.slow
def test_the_example_of_the_page_runs(tmp_path):
    (example,) = blocks(PAGES["scikit-learn"], "python")
    assert "learning_rate" in printed_by(example, tmp_path)
