"""What training takes, by which packs are made and ordered."""

import pytest

from tuning.packing.packs import Work, work


def test_work_grows_with_epochs_batches_and_parameters():
    small = {"batch_size": 32, "epochs": 2}
    for parameters in (0, 1000):
        one = work(small, 100, parameters)
        assert work({**small, "epochs": 6}, 100, parameters) == Work(
            pytest.approx(3 * one.seconds), 6
        )
        assert work({**small, "batch_size": 8}, 100, parameters).seconds > one.seconds
    assert work(small, 100, 2000).seconds == pytest.approx(2 * work(small, 100, 1000).seconds)
