"""What a request comes to where a run is gone on with: nothing counted is ever forgotten."""

from pathlib import Path

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
