"""What is compared with its own maximum equals it, however XLA computes it."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tuning.engines.evaluation import evaluate
from tuning.engines.rewrites.comparisons import held
from tuning.packing.trace import trace


def largest_of(kind):
    """A loss with the maximum of sums of products, computed element by element."""
    import jax
    import jax.numpy as jnp

    def loss(x, kernel, bias):
        n, (taps, channels) = x.shape[1], kernel.shape
        images = jnp.maximum(x, 0)
        y = jax.lax.conv_general_dilated(
            images,
            kernel.reshape(taps, 1, channels),
            (1,),
            ((0, taps - 1),),
            dimension_numbers=("NHC", "HIO", "NHC"),
            feature_group_count=channels,
        )
        y = y + bias
        pooled = {
            "reduced": lambda: y.max(1),
            "halves": lambda: jnp.maximum(y[:, : n // 2], y[:, n - n // 2 :]),
            "compared": lambda: jnp.where(y == y.max(1, keepdims=True), y, 0),
            "least": lambda: (y * bias).min(1),
        }[kind]()
        return jnp.tanh(pooled).sum()

    return jax.grad(loss, (0, 1, 2))


@pytest.mark.parametrize("kind", ["reduced", "halves", "compared", "least"])
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(2, 9), st.integers(1, 6)),
    taps=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@example(shape=(16, 8, 3), taps=3, seed=0)
@settings(max_examples=2, deadline=None)
def test_gradients_of_maxima_are_those_of_one_operation_after_the_other(kind, shape, taps, seed):
    import jax

    rows, _, channels = shape
    random = np.random.default_rng(seed)
    shapes = (shape, (taps, channels), (channels,))
    arrays = [random.normal(size=each).astype(np.float32) for each in shapes]
    function = largest_of(kind)
    traced, _ = trace(function, *arrays)
    fast = jax.jit(lambda *inputs: evaluate(traced, {}, inputs))(*arrays)
    with jax.disable_jit():
        slow = function(*arrays)
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * rows)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_is_held_stays_as_it_is_to_the_bit(dtype):
    import jax
    import jax.numpy as jnp

    values = jnp.asarray([0.0, -0.0, 1.5, -3e-5, np.inf, -np.inf, np.nan, 6e4], dtype)
    assert np.asarray(jax.jit(held)(values)).tobytes() == np.asarray(values).tobytes()
