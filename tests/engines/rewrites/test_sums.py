"""Sums over a loop's steps, made after the loop: the same gradients, by fewer small products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.engines.evaluation import evaluate
from tuning.engines.rewrites.products import without_transposes
from tuning.engines.rewrites.sums import with_sums_after_loops
from tuning.packing.trace import trace

pytestmark = pytest.mark.usefixtures("worker")


def carried(traced):
    return [each.params["num_carry"] for each in traced.body.operations if each.name == "scan"]


@given(
    steps=st.integers(1, 5),
    rows=st.integers(1, 4),
    width=st.integers(1, 4),
    reverse=st.booleans(),
    members=st.sampled_from([None, 3]),
)
@settings(max_examples=4, deadline=None)
def test_gradients_through_a_loop_are_the_same(steps, rows, width, reverse, members):
    import jax
    import jax.numpy as jnp

    def loss(kernel, bias, x):
        def step(h, row):
            return jnp.tanh(h @ kernel + row + bias), h.sum()

        h, sums = jax.lax.scan(step, jnp.zeros((rows, width)), x, reverse=reverse)
        return (h**2).sum() + sums.sum()

    generator = np.random.default_rng(0)
    shapes = [(width, width), (width,), (steps, rows, width)]
    values = [generator.normal(size=shape).astype("float32") for shape in shapes]
    traced, _ = trace(jax.grad(loss, (0, 1, 2)), *values)
    rewritten = with_sums_after_loops(without_transposes(traced))
    if min(steps, rows, width) > 1:  # else there is less to sum
        assert sum(carried(rewritten)) == sum(carried(traced)) - 2  # of the kernel and the bias

    def run(traced, *values):
        return evaluate(traced, {}, values)

    if members:
        values = [np.stack([value * (i + 1) for i in range(members)]) for value in values]
        one, other = (jax.vmap(lambda *v, t=t: run(t, *v))(*values) for t in (traced, rewritten))
    else:
        one, other = run(traced, *values), run(rewritten, *values)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_what_is_read_on_the_way_stays_in_the_loop():
    import jax
    import jax.numpy as jnp

    def function(x):
        def step(total, row):
            total = total + row.T @ row
            return total, total.sum()

        return jax.lax.scan(step, jnp.zeros((3, 3)), x)

    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype("float32")
    traced, _ = trace(function, x)
    rewritten = with_sums_after_loops(without_transposes(traced))
    assert carried(rewritten) == carried(traced) == [1]
    for mine, theirs in zip(function(x), evaluate(rewritten, {}, [x]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
