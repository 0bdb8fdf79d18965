"""What a request comes to where a run is gone on with: nothing counted is ever forgotten."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import TINY
from tests.runs.test_results import manifest
from tuning import TuningError
from tuning.api.settings import Request, settle
from tuning.cli.running import go_on_command
from tuning.runs.run import Run

STRATEGIES = {"random": {"trials": 3}, "sweep": {"points": "0:9", "order": "grid"}}


@pytest.fixture
def run(tmp_path):
    Run.create(tmp_path / "r", manifest(TINY, strategies=STRATEGIES)).close()
    return tmp_path / "r"


@pytest.mark.parametrize(
    ("asked", "trains", "kept"),
    [
        ({}, {"random": 3, "sweep": 9}, {}),
        ({"random": 5, "sweep": "0"}, {"random": 5}, {"random": {"trials": 5}}),
        ({"random": 0}, {"sweep": 9}, {}),
        ({"sweep": "0:5"}, {"random": 3, "sweep": 5}, {}),
        ({"sweep": "12"}, {"random": 3, "sweep": 12}, {"sweep": {"points": "12", "order": "grid"}}),
    ],
)
def test_the_manifest_never_says_less_than_is_counted(run, asked, trains, kept):
    settings = settle(Request(out=run, **asked))
    assert {name: s.n_trials for name, s in settings.samplers.items()} == trains
    assert settings.kept == STRATEGIES | kept


@pytest.mark.parametrize("asked", [{"sweep": "5:8"}, {"sweep": "9", "sweep_order": "spaced"}])
def test_another_sweep_does_not_go_on_with_a_run(run, asked):
    says = r"the run has a sweep of the first 9 in grid order, and a sweep of .* begin with it"
    with pytest.raises(TuningError, match=says):
        settle(Request(out=run, **asked))


def test_the_command_that_goes_on_says_what_the_manifest_does_not():
    request = Request(random=30, workers=2, cache=False, seed=0)
    assert go_on_command(Path("r"), request).endswith("--out r --workers 2 --no-cache")
    extended = go_on_command(Path("r"), request, search=True)
    assert extended.endswith("--out r --random 30 --workers 2 --no-cache")
    assert go_on_command(Path("r"), Request(executor="ray")).endswith("--out r --executor ray")


def test_the_script_goes_on_by_itself_on_ray(monkeypatch):
    monkeypatch.setattr("sys.argv", ["scripts/run_ray.py"])
    assert go_on_command(Path("r"), Request(executor="ray")).endswith("run_ray.py --out r")


def test_a_setting_may_be_of_one_strategy():
    asked = Request(
        problem=str(TINY), strategy=["random", "packs", "halving"], trials=4,
        given={"random.trajectories": True, "packs.members": 3},
    )  # fmt: skip
    assert settle(asked).kept == {
        "random": {"trials": 4, "trajectories": True},
        "packs": {"trials": 4, "members": 3},
        "halving": {"trials": 4},
    }
    both = Request(problem=str(TINY), strategy=["packs", "halving"], trials=4, given={"ahead": 2})
    assert {own["ahead"] for own in settle(both).kept.values()} == {2}


@pytest.mark.parametrize(
    ("asked", "named", "connected", "on_ray", "address"),
    [
        ({}, "", False, False, None),
        ({}, "", True, True, None),
        ({}, "host:1", False, True, "host:1"),
        ({}, "local", False, True, None),
        ({}, "host:1", True, True, None),
        ({"address": "host:2"}, "host:1", False, True, "host:2"),
        ({"executor": "processes"}, "host:1", True, False, None),
        ({"executor": "ray"}, "", False, True, None),
    ],
)
def test_ray_is_taken_where_there_is_one(asked, named, connected, on_ray, address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", named)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: connected))
    request = Request(**asked)
    assert request.on_ray == on_ray
    if on_ray:
        assert request.ray_address == address


def test_without_a_ray_none_is_looked_for(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    assert not Request().on_ray
    assert "ray" not in sys.modules
