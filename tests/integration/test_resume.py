"""A run is gone on with by the problem that it began with, whatever it is that changed."""

import shutil

import pytest

from tests.conftest import TINY, changed

pytestmark = pytest.mark.slow

LAYER = '''
import keras


class Scaled(keras.layers.Layer):
    """A layer whose code is of an installed package, as far as the problem's file knows."""

    def call(self, x):
        return x * 0.5
'''


def test_a_step_that_changed_in_an_imported_module_is_refused(run, tmp_path):
    """No digest of the file, of the data or of the model's configuration shows it."""
    (tmp_path / "layers_of_ours.py").write_text(LAYER)
    scaled = "keras.layers.Dropout(0.1),\n            __import__('layers_of_ours').Scaled(),"
    path = changed(tmp_path, ("keras.layers.Dropout(0.1),", scaled))
    assert path.read_text() != TINY.read_text()
    words = ("--problem", path, "--random", 2, "--sweep", 0, "--workers", 0, "--out", "r")
    done = run("run_ray.py", *words)
    assert done.returncode == 0, done.stderr
    assert run("run_ray.py", "--out", "r", "--workers", 0).returncode == 0
    (tmp_path / "layers_of_ours.py").write_text(LAYER.replace("x * 0.5", "x * 0.25"))
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    done = run("run_ray.py", "--out", "r", "--random", 3, "--workers", 0)
    assert done.returncode == 2
    assert "r is another run: what its models do in a training step has changed" in done.stderr
