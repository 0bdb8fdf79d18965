"""Random bits by a hash: as even and as independent as chance."""

import math

import numpy as np
import pytest

from tuning.engines.evaluation import evaluate
from tuning.engines.rewrites.random_bits import random_bits
from tuning.packing.trace import trace

pytestmark = pytest.mark.usefixtures("worker")


def uniform(seed, n):
    """Numbers from [0, 1) of all 32 bits."""
    import jax

    key = jax.random.wrap_key_data(np.array(seed, np.uint32))
    return np.asarray(random_bits(key, {"shape": (n,), "bit_width": 32}), np.float64) / 2**32


@pytest.mark.parametrize("step", range(5))
def test_the_hash_is_as_even_and_as_independent_as_chance(step):
    from scipy import stats

    n = 200_000
    now, then = (uniform([987654, step + i], n) for i in (0, 1))
    assert now.min() >= 0
    assert now.max() < 1
    counts = np.histogram(now, 256, (0, 1))[0]
    assert stats.chisquare(counts).pvalue > 1e-4
    for other in (then, np.roll(now, 1), np.roll(now, 128)):
        pairs = np.histogram2d(now, other, 16, ((0, 1), (0, 1)))[0]
        assert stats.chisquare(pairs.ravel()).pvalue > 1e-4
    other_seed = uniform([987655, step], n)
    assert abs(np.corrcoef(now, other_seed)[0, 1]) < 4 / math.sqrt(n)


@pytest.mark.parametrize("width", [8, 16, 32])
def test_it_gives_the_shape_and_type_of_the_primitive(width):
    import jax

    key = jax.random.key(3)
    made = random_bits(key, {"shape": (3, 5), "bit_width": width})
    own = jax.random.bits(key, (3, 5), f"uint{width}")
    assert (made.shape, made.dtype) == (own.shape, own.dtype)
    assert len(set(np.asarray(made).ravel().tolist())) > 10


def test_what_it_does_not_know_is_left_to_jax():
    import jax

    key = jax.random.key(3)
    assert random_bits(key, {"shape": (2,), "bit_width": 64}) is None
    assert random_bits(jax.random.split(key), {"shape": (2,), "bit_width": 32}) is None


@pytest.mark.parametrize(
    "make", ["Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D"]
)
def test_the_noise_of_keras_has_the_moments_it_should(make):
    import keras

    x = np.random.default_rng(0).normal(size=(400, 6, 6, 4)).astype("float32")
    layer = getattr(keras.layers, make)(0.3, seed=1)
    traced, _ = trace(lambda x, seed: noisy(layer, x, seed), x, np.array([5, 6], np.uint32))
    assert any(each.name == "random_bits" for each in traced.body.operations)
    own = np.asarray(layer(x, training=True))
    (ours,) = evaluate(traced, {}, [x, np.array([5, 6], np.uint32)])
    assert np.mean(ours) == pytest.approx(own.mean(), abs=0.03)
    assert np.std(ours) == pytest.approx(own.std(), rel=0.03)


def noisy(layer, x, seed):
    import keras

    with keras.StatelessScope(state_mapping=[(layer.seed_generator.state, seed)]):
        return layer(x, training=True)
