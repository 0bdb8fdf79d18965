"""Searches by strategies that learn, extended by more trials, with real small models."""

import pytest

from tests.api.test_warm import rows, search
from tuning import TuningError

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("halving", "packs", "iepoch")]


@pytest.mark.parametrize("strategy", ["evolution", *SLOW])
def test_a_search_is_extended_by_more_trials(tmp_path, strategy):
    def searched(name, trials):
        options = {"strategy": strategy, "settings": {"members": 3, "ahead": 1}}
        return search(tmp_path / name, trials=trials, **options)

    before = rows(searched("run", 4))
    after = rows(searched("run", 8))
    assert len(after) > len(before)
    assert after[: len(before)].equals(before)
    assert rows(searched("run", 8)).equals(after)
    assert rows(searched("run", 4)).equals(after)
    if strategy == "evolution":
        assert after.equals(rows(searched("at once", 8)))
        return
    with pytest.raises(TuningError, match="with 6 trainings does not begin with it"):
        searched("run", 6)
