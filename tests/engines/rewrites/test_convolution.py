"""Convolutions as products: what XLA's own gives, whatever the shapes and whoever has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.extend import core

from tuning.engines.rewrites.convolution import MOST_SLICES, convolution

pytestmark = pytest.mark.usefixtures("worker")

QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
LAST = {
    1: ((0, 2, 1), (2, 1, 0), (0, 2, 1)),
    2: ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)),
    3: ((0, 4, 1, 2, 3), (4, 3, 0, 1, 2), (0, 4, 1, 2, 3)),
}
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}


def parameters(layout, features=1, rows=1, **given):
    rank = len(layout[0]) - 2
    ones = (1,) * rank
    return {
        "window_strides": ones,
        "padding": ((0, 0),) * rank,
        "lhs_dilation": ones,
        "rhs_dilation": ones,
        "dimension_numbers": lax.ConvDimensionNumbers(*layout),
        "feature_group_count": features,
        "batch_group_count": rows,
        "precision": None,
        "preferred_element_type": None,
        "out_sharding": None,
    } | given


def laid_out(spec, first, second, rest):
    sizes = (first, second, *rest)
    return tuple(sizes[spec.index(axis)] for axis in range(len(spec)))


@st.composite
def convolutions(draw):
    """The shapes of two operands, and parameters with which there are outputs."""
    rank = draw(st.sampled_from((1, 2, 2, 3)))
    features, rows = draw(st.sampled_from(((1, 1), (1, 1), (2, 1), (3, 1), (1, 2), (1, 3))))
    layout = LAST[rank]
    if draw(st.booleans()):
        layout = tuple(tuple(draw(st.permutations(range(rank + 2)))) for _ in range(3))

    def of_each_axis(strategy):
        return draw(st.tuples(*[strategy] * rank))

    taps = of_each_axis(st.integers(1, 7 if rank < 3 else 4))
    strides, spread, steps = (of_each_axis(st.sampled_from((1, 1, 2, 3))) for _ in range(3))
    padding = of_each_axis(st.tuples(st.integers(-1, 3), st.integers(-1, 3)))
    space = [
        max(1, -(-((k - 1) * step - low - high) // apart) + 1) + draw(st.integers(0, 4))
        for k, step, apart, (low, high) in zip(taps, steps, spread, padding, strict=True)
    ]
    channels, filters, batch = (draw(st.integers(1, 3)) for _ in range(3))
    params = parameters(
        layout,
        features,
        rows,
        window_strides=strides,
        padding=padding,
        lhs_dilation=spread,
        rhs_dilation=steps,
    )
    lhs = laid_out(layout[0], batch * rows, channels * features, space)
    return lhs, laid_out(layout[1], filters * features * rows, channels, taps), params


def numbers(shape, dtype="float32", seed=0):
    return jnp.asarray(np.random.default_rng((seed, *shape)).normal(size=shape), dtype)


def xlas(lhs, rhs, params):
    """XLA's own, its image padded before: with padding below zero it may read what is not there."""
    edges = [(0, 0, 0)] * lhs.ndim
    for axis, (low, high), apart in zip(
        params["dimension_numbers"].lhs_spec[2:],
        params["padding"],
        params["lhs_dilation"],
        strict=True,
    ):
        edges[axis] = (low, high, apart - 1)
    plain = parameters(params["dimension_numbers"])
    rest = {name: plain[name] for name in ("padding", "lhs_dilation")}
    lhs = lax.pad(lhs, jnp.zeros((), lhs.dtype), edges)
    return lax.conv_general_dilated_p.bind(lhs, rhs, **params | rest)


def assert_same(got, expected, dtype="float32"):
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    got, expected = (np.asarray(x, np.float64) for x in (got, expected))
    assert np.abs(got - expected).max() <= TOLERANCE[dtype] * max(1e-30, np.abs(expected).max())


def run(function, *arguments):
    return jax.jit(function, compiler_options=QUICKLY)(*arguments)


@settings(max_examples=20, deadline=None)
@given(convolutions(), st.sampled_from(("float32", "float32", "float16", "bfloat16")))
def test_it_is_xlas_own(shapes, dtype):
    lhs, rhs, params = shapes
    x, w = numbers(lhs, dtype), numbers(rhs, dtype)
    exact = jnp.float32 if dtype != "float32" else None
    params["preferred_element_type"] = exact
    got, expected = run(lambda x, w: (convolution(x, w, params), xlas(x, w, params)), x, w)
    assert_same(got, expected)
    if exact:
        params["preferred_element_type"] = None
        assert_same(run(lambda x, w: convolution(x, w, params), x, w), got.astype(dtype), dtype)


@settings(max_examples=10, deadline=None)
@given(convolutions())
def test_each_member_of_a_pack_has_its_own(shapes):
    lhs, rhs, params = shapes
    x, w = numbers((2, *lhs)), numbers((2, *rhs))

    def one(x, w):
        return convolution(x, w, params)

    def packed_and_alone(x, w):
        packed = [
            jax.vmap(one)(x, w),
            jax.vmap(one, (0, None))(x, w[0]),
            jax.vmap(one, (None, 0))(x[0], w),
            jax.vmap(lambda _: one(x[0], w[0]))(jnp.zeros(1)),
        ]
        alone = {(i, j): one(x[i], w[j]) for i in range(2) for j in range(2)}
        members = [(0, 0), (1, 1), (0, 0), (1, 0), (0, 0), (0, 1), (0, 0)]
        return jnp.concatenate(packed), jnp.stack([alone[member] for member in members])

    assert_same(*run(packed_and_alone, x, w))


def convolution_layers():
    """Layers by name: each kind, with each of its options that changes what it emits."""
    first = "channels_first"
    yield "Conv1D", {"filters": 4}, (9, 3)
    yield "Conv1D", {"filters": 4, "padding": "causal", "dilation_rate": 2}, (9, 3)
    yield "Conv2D", {"filters": 4}, (7, 8, 3)
    yield "Conv2D", {"filters": 2, "padding": "same"}, (7, 8, 5)
    yield "Conv2D", {"filters": 4, "padding": "same", "strides": 2}, (7, 8, 3)
    yield "Conv2D", {"filters": 4, "kernel_size": 1, "strides": 2}, (7, 8, 3)
    yield "Conv2D", {"filters": 4, "strides": 3, "kernel_size": 2}, (8, 9, 3)
    yield "Conv2D", {"filters": 4, "dilation_rate": 2, "padding": "same"}, (7, 8, 3)
    yield "Conv2D", {"filters": 6, "groups": 2, "padding": "same"}, (7, 8, 4)
    yield "Conv2D", {"filters": 4, "groups": 4, "strides": 2}, (7, 8, 4)
    yield "Conv2D", {"filters": 4, "data_format": first, "padding": "same"}, (3, 7, 8)
    yield "Conv2D", {"filters": 4, "kernel_size": (7, 8)}, (7, 8, 3)
    yield "Conv3D", {"filters": 3, "strides": 2, "padding": "same"}, (4, 5, 4, 2)
    yield "DepthwiseConv1D", {"depth_multiplier": 2}, (9, 3)
    yield "DepthwiseConv2D", {"padding": "same"}, (7, 8, 3)
    yield "DepthwiseConv2D", {"depth_multiplier": 2, "strides": 2}, (7, 8, 3)
    yield "SeparableConv2D", {"filters": 4, "strides": 2, "padding": "same"}, (7, 8, 3)
    yield "Conv2DTranspose", {"filters": 4}, (5, 4, 3)
    yield "Conv2DTranspose", {"filters": 4, "strides": 2, "padding": "same"}, (5, 4, 3)
    yield "Conv2DTranspose", {"filters": 4, "strides": 3, "kernel_size": 2}, (5, 4, 3)
    yield "Conv2DTranspose", {"filters": 4, "strides": 2, "data_format": first}, (3, 5, 4)
    yield "Conv3DTranspose", {"filters": 2, "strides": 2, "padding": "same"}, (3, 2, 3, 2)


def emitted(jaxpr):
    """The convolutions of a jaxpr, also within its calls."""
    for equation in jaxpr.eqns:
        if equation.primitive is lax.conv_general_dilated_p:
            yield equation
        for inner in core.jaxprs_in_params(equation.params):
            yield from emitted(inner)


@pytest.mark.parametrize(("name", "options", "shape"), list(convolution_layers()))
def test_all_that_keras_emits_is_rewritten(name, options, shape):
    import keras

    layer = getattr(keras.layers, name)(**{"kernel_size": 3} | options)
    layer.build((4, *shape))
    variables = [variable.value for variable in layer.trainable_variables]

    def loss(variables, x):
        return (layer.stateless_call(variables, [], x)[0] ** 2).sum()

    traced = jax.make_jaxpr(jax.grad(loss, (0, 1)))(variables, numbers((4, *shape)))
    equations = list(emitted(traced.jaxpr))
    assert len(equations) in (3, 6)  # a separable layer's two convolutions, and their gradients

    def both(operands):
        return [
            (convolution(*each, equation.params), xlas(*each, equation.params))
            for each, equation in zip(operands, equations, strict=True)
        ]

    operands = [
        [numbers(atom.aval.shape, seed=i) for i, atom in enumerate(equation.invars)]
        for equation in equations
    ]
    for got, expected in run(both, operands):
        assert_same(got, expected)


def test_what_is_left_to_xla():
    params = parameters(LAST[1])
    assert convolution(numbers((1, 5, 2)), numbers((3, 2, 4)), params) is not None
    assert convolution(jnp.ones((1, 5, 2), int), jnp.ones((3, 2, 4), int), params) is None
    assert convolution(numbers((0, 5, 2)), numbers((3, 2, 4)), params) is None
    assert convolution(numbers((1, 2, 2)), numbers((3, 2, 4)), params) is None
    wide, long = numbers((MOST_SLICES + 1, 2, 4)), numbers((1, 2 * MOST_SLICES + 2, 2))
    assert convolution(long, wide, params) is None
