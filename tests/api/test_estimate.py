"""The estimate's arithmetic is the study's."""

from collections import Counter

from tuning import Grid, load_problem
from tuning.api.estimate import Estimate, timed_trials, total_epochs


def test_the_studys_numbers():
    grid = load_problem("mnist_2_vs_7").grid
    assert total_epochs(grid) == 345_600
    one_by_one = Estimate(grid, [5.0, 7.0], 0.0, starts=grid.size, trained_epochs=345_600)
    assert one_by_one.seconds / 86400 == 24
    packed = Estimate(grid, [5.0, 7.0], 60.0, starts=300, trained_epochs=172_800)
    assert packed.seconds / 86400 == 12 + 300 / 1440


def test_every_batch_size_is_timed_over_more_than_one_epoch():
    grid = load_problem("mnist_2_vs_7").grid
    timed = [trial.configuration for trial in timed_trials(grid, seed=0)]
    assert Counter(point["batch_size"] for point in timed) == dict.fromkeys(
        [16, 32, 64, 128, 256], 1
    )
    assert {point["epochs"] for point in timed} == {4}


def test_a_grid_without_batch_size_or_epochs_is_timed_too():
    trials = timed_trials(Grid({"units": range(100)}), seed=0)
    assert 1 < len({trial.index for trial in trials}) == len(trials) <= 8
    assert total_epochs(Grid({"units": range(100)})) == 100
