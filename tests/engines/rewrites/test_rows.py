"""Operations that compute each row from that row alone: found, and none that does not."""

import numpy as np
import pytest

from tuning.engines.evaluation import evaluate
from tuning.engines.rewrites.rows import RULES, Rows, rows_of_results
from tuning.packing.trace import Number, trace

N = 6
IMAGES = np.random.default_rng(0).normal(size=(N, 5, 4, 3)).astype("float32")
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 2)).astype("float32")
TABLE = np.random.default_rng(2).normal(size=(9, 3)).astype("float32")
MATRIX = np.random.default_rng(3).normal(size=(3, 7)).astype("float32")


def followed(function, *arrays):
    """The trace of a function of rows, and the axis of rows of what it returns or None."""
    traced, _ = trace(function, *arrays)
    known = {slot.index: Rows(traced.avals[slot.index].shape, 0) for slot in traced.body.inputs}

    def rows(atom):
        if isinstance(atom, Number):
            return Rows(traced.numbers[atom.index].shape)
        return known.get(atom.index)

    for operation in traced.body.operations:
        given = [rows(atom) for atom in operation.inputs]
        shapes = [traced.avals[slot.index].shape for slot in operation.outputs]
        found = None
        if None not in given:
            found = rows_of_results(operation.name, operation.params, given, shapes)
        for slot, each in zip(operation.outputs, found or [], strict=False):
            known[slot.index] = each
    (returned,) = map(rows, traced.body.outputs)
    return traced, None if returned is None else returned.axis


def convolution(x, kernel, **given):
    import jax

    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), **given
    )


def window(x, sizes, strides=None):
    import jax

    return jax.lax.reduce_window(x, -np.inf, jax.lax.max, sizes, strides or (1,) * 4, "VALID")


def jnp():
    import jax.numpy

    return jax.numpy


BY_ROWS = {
    "elementwise": lambda x: jnp().tanh(x) * 2 + x,
    "a bias": lambda x: x + jnp().arange(3.0),
    "zeros of the batch": lambda x: jnp().maximum(x, jnp().zeros(x.shape)),
    "a mask": lambda x: jnp().where(x > 0, x, -1.0),
    "flattened": lambda x: x.reshape(N, -1) @ np.ones((60, 2), "float32"),
    "transposed": lambda x: x.transpose(3, 1, 0, 2) + 1,
    "over other axes": lambda x: x.sum((1, 3)).max(-1),
    "softmax": lambda x: jnp().exp(x - x.max(-1, keepdims=True)),
    "argmax": lambda x: x.argmax(-1),
    "product": lambda x: x @ MATRIX,
    "product from the left": lambda x: jnp().einsum("ij,bhwi->jbhw", MATRIX, x),
    "a row with itself": lambda x: jnp().einsum("bhwi,bhwj->bij", x, x),
    "convolution": lambda x: convolution(x, KERNEL),
    "depthwise": lambda x: convolution(
        x, KERNEL[:, :, :1].repeat(3, 3)[..., :3], feature_group_count=3
    ),
    "pooling": lambda x: window(x, (1, 2, 2, 1), (1, 2, 2, 1)),
    "padded": lambda x: jnp().pad(x, ((0, 0), (1, 2), (0, 0), (0, 0))),
    "sliced": lambda x: x[:, 1:4, ::2],
    "reversed": lambda x: x[:, ::-1],
    "joined": lambda x: jnp().concatenate([x, x * 2, jnp().ones((N, 5, 4, 1))], -1),
    "split": lambda x: jnp().split(x, 2, axis=2)[1],
    "running sum": lambda x: jnp().cumsum(x, 1),
    "fixed places": lambda x: x[:, jnp().array([3, 0])],
    "a table": lambda x: jnp().array(TABLE)[(x[..., 0] * 3).astype(int) % 9],
}

ACROSS_ROWS = {
    "mean": lambda x: x - x.mean(0),
    "variance": lambda x: x / x.var((0, 1, 2)),
    "rows by place": lambda x: x * jnp().arange(N)[:, None, None, None],
    "number of the row": lambda x: x[:, 0, 0] + jnp().arange(N * 3.0).reshape(N, 3),
    "other rows": lambda x: x @ jnp().einsum("bhwi,bhwj->ij", x, x),
    "each with each": lambda x: jnp().einsum("ahwi,bhwi->ab", x, x),
    "reversed": lambda x: x[::-1],
    "shifted": lambda x: jnp().pad(x, ((1, 0), (0, 0), (0, 0), (0, 0)))[:N],
    "some rows": lambda x: x[1:],
    "running sum": lambda x: jnp().cumsum(x, 0),
    "joined": lambda x: jnp().concatenate([x, x], 0),
    "mixed shapes": lambda x: x.reshape(N * 5, 12),
    "halves": lambda x: x.reshape(2, 3, 60).sum(1),
    "sorted": lambda x: jnp().sort(x, 0),
    "first row": lambda x: x + x[:1],
    "rows by numbers": lambda x: x[jnp().array([1, 0, 2, 3, 4, 5])],
    "windows of rows": lambda x: window(x, (2, 1, 1, 1)),
    "convolution over rows": lambda x: convolution(x[:, :, None, :, 0].transpose(1, 0, 2, 3),
                                                   np.ones((3, 1, 4, 2), "float32")),
    "groups of rows": lambda x: convolution(x, KERNEL[:, :, :, :2], batch_group_count=2),
    "a product over rows": lambda x: x.reshape(N, 60).T @ np.ones((N, 2), "float32"),
    "weighed by place": lambda x: jnp().einsum(
        "bc,bi->bi", jnp().arange(N * 2.0).reshape(N, 2), x[:, 0, 0]
    ),
    "flattened with rows last": lambda x: x.transpose(1, 2, 3, 0).reshape(5, 4 * 3 * N),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_ROWS)
def test_an_axis_of_rows_is_followed_and_other_rows_change_nothing(name):
    traced, axis = followed(BY_ROWS[name], IMAGES)
    assert axis is not None
    (whole,) = map(np.asarray, evaluate(traced, {}, [IMAGES]))
    assert whole.shape[axis] == N
    order = np.random.default_rng(5).permutation(N)
    (permuted,) = evaluate(traced, {}, [IMAGES[order]])
    np.testing.assert_allclose(permuted, np.take(whole, order, axis), rtol=1e-5, atol=1e-6)
    others = np.concatenate([IMAGES[:2], np.full_like(IMAGES[2:], 7.5)])
    (padded,) = map(np.asarray, evaluate(traced, {}, [others]))
    np.testing.assert_allclose(
        np.take(padded, [0, 1], axis), np.take(whole, [0, 1], axis), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ACROSS_ROWS)
def test_what_depends_on_other_rows_or_on_its_place_is_not_taken(name):
    assert followed(ACROSS_ROWS[name], IMAGES)[1] is None


def test_every_rule_is_met_by_one_of_the_functions_above():
    met = {
        operation.name
        for function in BY_ROWS.values()
        for operation in trace(function, IMAGES)[0].body.operations
    }
    rules = {rule for name, rule in RULES.items() if name in met}
    assert rules == {*RULES.values()}
