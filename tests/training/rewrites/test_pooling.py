"""Pooling as elementwise operations: what XLA's own gives, ties and all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.extend import core

from tuning.training.rewrites import pooling
from tuning.training.rewrites.pooling import MOST_SLICES

pytestmark = pytest.mark.usefixtures("worker")

QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
REDUCTIONS = {
    lax.reduce_window_max_p: pooling.reduce_window_max,
    lax.reduce_window_min_p: pooling.reduce_window_min,
    lax.reduce_window_sum_p: pooling.reduce_window_sum,
}
REWRITES = REDUCTIONS | {lax.select_and_scatter_add_p: pooling.select_and_scatter_add}


def run(function, *arguments):
    return jax.jit(function, compiler_options=QUICKLY)(*arguments)


def assert_same(got, expected, tolerance=1e-5):
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    got, expected = (np.asarray(x, np.float64) for x in (got, expected))
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * finite.max(initial=1e-30))


@st.composite
def windows(draw):
    """A shape, and windows of which at least one lies in it."""
    rank = draw(st.sampled_from((1, 2, 2, 3)))

    def of_each_axis(strategy):
        return draw(st.tuples(*[strategy] * rank))

    sizes = of_each_axis(st.integers(1, 4 if rank < 3 else 3))
    strides = draw(st.sampled_from((sizes, of_each_axis(st.integers(1, 3)))))
    padding = tuple((0, 0) for _ in sizes)
    if draw(st.booleans()):
        padding = tuple((draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))) for n in sizes)
    space = tuple(n + draw(st.integers(0, 5 if rank < 3 else 3)) for n in sizes)
    first = draw(st.booleans())  # channels

    def whole(batch, channels, rest):
        return (batch, channels, *rest) if first else (batch, *rest, channels)

    return whole(2, 3, space), {
        "window_dimensions": whole(1, 1, sizes),
        "window_strides": whole(1, 1, strides),
        "padding": whole((0, 0), (0, 0), padding),
    }


def numbers(shape, kind="different", dtype="float32"):
    """Numbers that are all different, mostly equal (as after relu), or not all finite."""
    chance = np.random.default_rng(shape)
    made = {
        "different": chance.normal(size=shape),
        "ties": np.maximum(0, chance.integers(-4, 3, shape)),
        "not finite": chance.choice([0.0, 1.0, -np.inf, np.inf, np.nan], shape),
    }
    return jnp.asarray(made[kind], dtype)


KINDS = st.sampled_from(("different", "ties", "ties", "not finite"))


@settings(max_examples=15, deadline=None)
@given(windows(), KINDS, st.sampled_from(("float32", "int32")), st.data())
def test_reductions_are_xlas_own(window, kind, dtype, data):
    shape, params = window
    space = [i for i, n in enumerate(params["window_dimensions"]) if n > 1]
    dilations = {"base_dilation": [1] * len(shape), "window_dilation": [1] * len(shape)}
    for name in dilations:
        for axis in space:
            dilations[name][axis] = data.draw(st.sampled_from((1, 1, 2)))
    params |= {name: tuple(each) for name, each in dilations.items()}
    x = numbers((2, *shape), "ties" if dtype == "int32" else kind, dtype)

    def every(x):
        return [
            (jnp.stack([rewrite(x[0], params), jax.vmap(lambda x: rewrite(x, params))(x)[1]]), own)
            for rewrite, own in (
                (rewrite, jnp.stack([primitive.bind(each, **params) for each in x]))
                for primitive, rewrite in REDUCTIONS.items()
            )
        ]

    if any(rewrite(x[0], params) is None for rewrite in REDUCTIONS.values()):
        return  # no window lies in the input
    for got, expected in run(every, x):
        assert_same(got, expected)
