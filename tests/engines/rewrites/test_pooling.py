"""Pooling as elementwise operations: what XLA's own gives, ties and all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.extend import core

from tuning.engines.rewrites import pooling
from tuning.engines.rewrites.pooling import MOST_SLICES

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


def undilated(shape):
    return {"base_dilation": (1,) * len(shape), "window_dilation": (1,) * len(shape)}


KINDS = st.sampled_from(("different", "ties", "ties", "not finite"))


def dilations(draw, shape, params):
    """Distances between the elements of the input, and between those of a window, that fit."""
    apart, steps = [], []
    for size, window in zip(shape, params["window_dimensions"], strict=True):
        apart.append(draw(st.sampled_from((1, 1, 2))) if window > 1 else 1)
        steps.append(draw(st.sampled_from((1, 2))) if size >= 2 * window - 1 > 1 else 1)
    return {"base_dilation": tuple(apart), "window_dilation": tuple(steps)}


@settings(max_examples=8, deadline=None)
@given(windows(), KINDS, st.sampled_from(("float32", "float32", "int32")), st.data())
def test_reductions_are_xlas_own(window, kind, dtype, data):
    shape, params = window
    params |= dilations(data.draw, shape, params)
    x = numbers((2, *shape), "ties" if dtype == "int32" else kind, dtype)

    def both(x):
        return [
            (rewrite(x[0], params), jax.vmap(lambda x, rewrite=rewrite: rewrite(x, params))(x), own)
            for rewrite, own in (
                (rewrite, jnp.stack([primitive.bind(each, **params) for each in x]))
                for primitive, rewrite in REDUCTIONS.items()
            )
        ]

    for alone, packed, expected in run(both, x):
        assert_same(alone, expected[0])
        assert_same(packed, expected)


@settings(max_examples=8, deadline=None)
@given(windows(), KINDS, st.sampled_from((lax.ge_p, lax.le_p)))
def test_a_gradient_goes_where_xlas_own_goes(window, kind, select):
    """With whole numbers nothing is rounded, so the two agree in every bit."""
    shape, params = window
    x = numbers((2, *shape), kind)
    pooled = jax.eval_shape(
        lambda x: lax.reduce_window_max_p.bind(x, **params | undilated(shape)), x[0]
    )
    g = jnp.round(8 * numbers((2, *pooled.shape)))
    params["select_prim"] = select

    def all_ways(g, x):
        def one(g, x):
            return pooling.select_and_scatter_add(g, x, params)

        members = [(0, 0), (0, 0), (1, 1), (0, 0), (0, 1), (0, 0), (1, 0)]
        own = lax.select_and_scatter_add_p
        packed = [
            jax.vmap(one)(g, x),
            jax.vmap(one, (None, 0))(g[0], x),
            jax.vmap(one, (0, None))(g, x[0]),
        ]
        return (
            jnp.concatenate([one(g[0], x[0])[None], *packed]),
            jnp.stack([own.bind(g[i], x[j], **params) for i, j in members]),
        )

    got, expected = run(all_ways, g, x)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_small_floats_are_summed_in_float32(dtype):
    x = numbers((2, 9, 3), dtype=dtype)
    params = {"window_dimensions": (1, 3, 1), "window_strides": (1, 1, 1)}
    params |= {"padding": ((0, 0),) * 3} | undilated(x.shape)
    sums = lax.reduce_window_sum_p.bind(x.astype("float32"), **params)
    np.testing.assert_array_equal(pooling.reduce_window_sum(x, params), sums.astype(dtype))


def pooling_layers():
    """Layers by name, each with what changes what it emits."""
    first = "channels_first"
    for kind in ("Max", "Average"):
        yield f"{kind}Pooling1D", {"pool_size": 2}, (9, 3)
        yield f"{kind}Pooling1D", {"pool_size": 3, "strides": 2, "data_format": first}, (3, 9)
        yield f"{kind}Pooling2D", {"pool_size": 2}, (7, 8, 3)
        yield f"{kind}Pooling2D", {"pool_size": 2, "padding": "same"}, (7, 8, 3)
        yield f"{kind}Pooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (7, 8, 3)
        yield f"{kind}Pooling2D", {"pool_size": 3, "strides": 1, "padding": "same"}, (7, 8, 3)
        yield f"{kind}Pooling2D", {"pool_size": 2, "strides": 3}, (7, 8, 3)
        yield f"{kind}Pooling2D", {"pool_size": (2, 3), "data_format": first}, (3, 7, 8)
        yield f"{kind}Pooling3D", {"pool_size": 2}, (4, 5, 4, 2)
        yield f"{kind}Pooling3D", {"pool_size": 3, "strides": 2, "padding": "same"}, (4, 5, 4, 2)


def emitted(jaxpr):
    """The windowed operations of a jaxpr, also within its calls."""
    for equation in jaxpr.eqns:
        if equation.primitive in REWRITES or "window" in equation.primitive.name:
            yield equation
        for inner in core.jaxprs_in_params(equation.params):
            yield from emitted(inner)


@pytest.mark.parametrize(("name", "options", "shape"), list(pooling_layers()))
def test_all_that_keras_emits_is_rewritten(name, options, shape):
    import keras

    layer = getattr(keras.layers, name)(**options)

    def loss(x):
        return (layer(x) ** 2).sum()

    traced = jax.make_jaxpr(jax.grad(loss))(numbers((4, *shape)))
    equations = list(emitted(traced.jaxpr))
    assert len(equations) >= 2

    def both(operands):
        return [
            (
                REWRITES[equation.primitive](*each, equation.params),
                equation.primitive.bind(*each, **equation.params),
            )
            for each, equation in zip(operands, equations, strict=True)
        ]

    operands = [[numbers(atom.aval.shape, "ties") for atom in each.invars] for each in equations]
    for got, expected in run(both, operands):
        assert_same(got, expected)


def test_what_is_left_to_xla():
    x, n = numbers((1, 4 * MOST_SLICES, 1)), MOST_SLICES + 1
    params = {"window_dimensions": (1, n, 1), "window_strides": (1, 1, 1)}
    params |= {"padding": ((0, 0),) * 3} | undilated(x.shape)
    side_by_side = params | {"window_strides": (1, n, 1)}
    for rewrite in REDUCTIONS.values():
        assert rewrite(x, params) is None
        assert rewrite(x, side_by_side) is not None
        assert rewrite(x[:, :0], params) is None
        assert rewrite(x[:, : n - 1], params) is None
        assert rewrite(x.astype(complex), side_by_side) is None
    g = numbers((1, 3, 1))
    for select in (lax.ge_p, lax.gt_p):
        selected = side_by_side | {"select_prim": select}
        assert pooling.select_and_scatter_add(g, x, selected) is None
        small = selected | {"window_dimensions": (1, 2, 1), "window_strides": (1, 2, 1)}
        gone = pooling.select_and_scatter_add(g, x[:, :6], small) is None
        assert gone is (select is lax.gt_p)
