"""Convolutions as matrix products: a training step of a small network takes 1.7 ms, not 27.

(Images of 28 x 28, batch 32, 16 and 32 kernels of 3 x 3; with pooling rewritten too. For images of
32 x 32 x 3 and 32, 64 and 64 kernels, 9.2 ms in place of 210.)

XLA's CPU code for a convolution is slow inside a loop, its code for a matrix product is not. A
convolution is a sum of products, one for each element ("tap") of the kernel, so it can be written
as shifted slices of its input and `dot_general`. There are three ways to do so:

- *patches*: the slices side by side on the channel axis, then one product. For the forward pass.
- *shifted sums*: one product of the input with all taps at once, whose parts are then shifted and
  added. As many multiplications, but what is copied has the output's channels, not the input's:
  for the gradient of a layer's input, where those are fewer.
- *by outputs*: as patches, but a slice for each output. For the gradient of a kernel: there
  the "kernel" is a large image and the output a small one.

Where each channel has a kernel of its own (depthwise), the products are element by element.

Groups of channels take part as one more axis. In the functions below an image `x` is
(rows, *space, groups, channels), a kernel `w` (*taps, channels, groups, filters), and a result
(rows, *outputs, groups, filters).
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

MOST_SLICES = 256
"""Convolutions that take more are left to XLA: a program of so many operations compiles slowly."""
MOST_COPIED = 2**27
"""Those that copy more numbers too: 0.5 GB of float32 for each member of a pack."""


class Axis(NamedTuple):
    """The movement of a kernel along one spatial axis.

    Output `o` meets tap `t` at the input's index `first + o * stride + t * step`; what lies outside
    the input counts as zero.
    """

    first: int
    stride: int
    step: int
    outputs: int
    taps: int

    @property
    def last(self) -> int:
        """The largest index it meets."""
        return self.first + (self.outputs - 1) * self.stride + (self.taps - 1) * self.step


def convolution(lhs: jax.Array, rhs: jax.Array, params: Mapping[str, Any]) -> jax.Array | None:
    """Compute `conv_general_dilated` by matrix products.

    Parameters
    ----------
    lhs, rhs : jax.Array
        The operands of `jax.lax.conv_general_dilated_p`: images and a kernel.
    params : mapping
        Its parameters, as they stand in a jaxpr.

    Returns
    -------
    jax.Array or None
        What the primitive returns, to the rounding of sums; None if the operands are not real
        floating-point numbers of one type, the result or an operand has no elements, or the program
        or its copies would be too large.
    """
    floating = jnp.issubdtype(lhs.dtype, jnp.floating) and lhs.dtype == rhs.dtype
    axes = _axes(lhs.shape, rhs.shape, params)
    if not floating or 0 in (*lhs.shape, *rhs.shape) or any(axis.outputs < 1 for axis in axes):
        return None
    slices = min(_size(axes, "outputs"), _size(axes, "taps"))
    if slices > MOST_SLICES or slices * lhs.size > MOST_COPIED:
        return None
    y = _by_phase(lhs, rhs, axes, params["lhs_dilation"], params)
    return y.astype(params["preferred_element_type"] or lhs.dtype)


def _axes(lhs: Sequence[int], rhs: Sequence[int], params: Mapping[str, Any]) -> list[Axis]:
    """The movement of the kernel along each axis of images with zeros between their elements."""
    image, kernel, _ = params["dimension_numbers"]
    names = ("padding", "window_strides", "rhs_dilation", "lhs_dilation")
    axes = []
    for i, j, (low, high), stride, step, spread in zip(
        image[2:], kernel[2:], *(params[name] for name in names), strict=True
    ):
        size, taps = lhs[i], rhs[j]
        room = low + (size - 1) * spread + high - (taps - 1) * step
        axes.append(Axis(-low, stride, step, room // stride + 1, taps))
    return axes


def _by_phase(
    lhs: jax.Array,
    rhs: jax.Array,
    axes: Sequence[Axis],
    spread: Sequence[int],
    params: Mapping[str, Any],
) -> jax.Array:
    """Convolve images whose elements lie `spread` apart, without the zeros in between.

    If they lie two apart, the even outputs meet only every second tap, the odd ones the others:
    two convolutions of the image as it is, whose outputs take turns.
    """
    i = next((i for i, distance in enumerate(spread) if distance > 1), None)
    if i is None:
        return _convolved(lhs, rhs, axes, params)
    axis, distance = axes[i], spread[i]
    image, kernel, out = params["dimension_numbers"]
    period = distance // math.gcd(axis.stride, distance)
    skip = distance // math.gcd(axis.step, distance)
    rest = [*spread[:i], 1, *spread[i + 1 :]]
    parts = []
    for phase in range(period):
        start = axis.first + phase * axis.stride
        tap = next((t for t in range(skip) if (start + t * axis.step) % distance == 0), axis.taps)
        part = Axis(
            first=(start + tap * axis.step) // distance,
            stride=axis.stride * period // distance,
            step=axis.step * skip // distance,
            outputs=-(-axis.outputs // period),
            taps=len(range(tap, axis.taps, skip)),
        )
        inner = [*axes[:i], part, *axes[i + 1 :]]
        if part.taps:
            met = lax.slice_in_dim(rhs, tap, axis.taps, skip, kernel[i + 2])
            parts.append(_by_phase(lhs, met, inner, rest, params))
        else:
            rows = lhs.shape[image[0]] // params["batch_group_count"]
            sizes = (rows, rhs.shape[kernel[0]], *(a.outputs for a in inner))
            zeros = jnp.zeros([sizes[out.index(d)] for d in range(lhs.ndim)], _sum_dtype(lhs))
            parts.append(zeros)
    along = out[i + 2]
    turns = jnp.stack(parts, along + 1)
    y = turns.reshape(*turns.shape[:along], -1, *turns.shape[along + 2 :])
    return lax.slice_in_dim(y, 0, axis.outputs, 1, along)


def _convolved(
    lhs: jax.Array, rhs: jax.Array, axes: Sequence[Axis], params: Mapping[str, Any]
) -> jax.Array:
    """Convolve, with as many slices as there are outputs or taps, whichever are fewer."""
    image, kernel, out = params["dimension_numbers"]
    features, rows = params["feature_group_count"], params["batch_group_count"]
    precision, groups, n = params["precision"], features * rows, lhs.ndim
    if _size(axes, "outputs") < _size(axes, "taps"):
        x = lax.transpose(lhs, (image[1], *image[2:], image[0]))
        x = _grouped(x, 0 if features > 1 else n - 1, groups)
        w = _grouped(lax.transpose(rhs, (kernel[1], *kernel[2:], kernel[0])), n - 1, groups)
        y = _by_outputs(x, w, axes, precision)
    else:
        x = lax.transpose(lhs, (image[0], *image[2:], image[1]))
        x = _grouped(x, 0 if rows > 1 else n - 1, groups)
        w = _grouped(lax.transpose(rhs, (*kernel[2:], kernel[1], kernel[0])), n - 1, groups)
        y = _by_taps(x, w, axes, precision)
    order = (out[0], *out[2:], out[1])
    return lax.transpose(y.reshape(*y.shape[:-2], -1), [order.index(i) for i in range(n)])


def _grouped(x: jax.Array, axis: int, groups: int) -> jax.Array:
    """The array with an axis split into groups, which become the last axis but one."""
    split = x.reshape(*x.shape[:axis], groups, -1, *x.shape[axis + 1 :])
    return jnp.moveaxis(split, axis, -2)


def _by_taps(x: jax.Array, w: jax.Array, axes: Sequence[Axis], precision: Any) -> jax.Array:
    """Convolve in the way that copies least."""
    channels, groups, filters = w.shape[-3:]
    if groups > 1 and 1 in (channels, filters):
        return _depthwise(x, w, axes)
    shifts = _size(axes, "taps") > 1 and all(axis.stride == 1 for axis in axes)
    if shifts and filters * math.prod(x.shape[1:-2]) < channels * _size(axes, "outputs"):
        return _shifted_sums(x, w, axes, precision)
    return _patches(x, w, axes, precision)


def _patches(x: jax.Array, w: jax.Array, axes: Sequence[Axis], precision: Any) -> jax.Array:
    """One product of all that each output sees with the kernel."""
    x, axes = _padded(x, axes)
    seen, n = _all_seen(x, axes), x.ndim
    w = w.reshape(-1, *w.shape[-2:])
    return jnp.moveaxis(_product(seen, w, ([n - 1], [0]), ([n - 2], [1]), precision), 0, -2)


def _shifted_sums(x: jax.Array, w: jax.Array, axes: Sequence[Axis], precision: Any) -> jax.Array:
    """One product of the image with all taps, whose parts are shifted and added."""
    n, filters = x.ndim, w.shape[-1]
    y = _product(x, w, ([n - 1], [n - 3]), ([n - 2], [n - 2]), precision)
    y = jnp.moveaxis(y.reshape(*y.shape[: n - 1], -1), 0, -2)  # rows, *space, groups, all taps
    y, axes = _padded(y, axes)
    parts = []
    for i, taps in enumerate(_positions(a.taps for a in axes)):
        part = lax.slice_in_dim(y, i * filters, (i + 1) * filters, 1, n - 1)
        parts.append(_seen(part, axes, taps))
    return functools.reduce(operator.add, parts)


def _by_outputs(x: jax.Array, w: jax.Array, axes: Sequence[Axis], precision: Any) -> jax.Array:
    """One product of the kernel with what each of few outputs sees.

    x: (channels, *space, groups, rows), w: (channels, *taps, groups, filters).
    """
    x, axes = _padded(x, axes)
    turned = [
        a._replace(stride=a.step, step=a.stride, outputs=a.taps, taps=a.outputs) for a in axes
    ]
    sizes = [a.outputs for a in axes]
    n, groups, (rows, filters) = x.ndim - 2, w.shape[-2], (x.shape[-1], w.shape[-1])
    if groups > 1 and 1 in (rows, filters):
        seen = [_seen(x, turned, at) for at in _positions(sizes)]
        if rows == filters == 1:  # the loops over an axis of length 1 are slow
            seen, w = [each[..., 0] for each in seen], w[..., 0]
        w = w.astype(_sum_dtype(w))
        y = jnp.stack([jnp.sum(_summed(each * w), range(n - 1)) for each in seen], 1)
    else:
        every = list(range(n))
        y = _product(_all_seen(x, turned), w, (every, every), ([n], [n]), precision)
    return jnp.moveaxis(y.reshape(groups, *sizes, rows, filters), (-2, 0), (0, -2))


def _depthwise(x: jax.Array, w: jax.Array, axes: Sequence[Axis]) -> jax.Array:
    """Products element by element, if a group has one channel or one filter."""
    x, axes = _padded(x, axes)
    w = w.astype(_sum_dtype(w))
    one_filter = w.shape[-1] == 1
    w = jnp.swapaxes(w[..., 0], -1, -2) if one_filter else w[..., 0, :, :]
    positions = _positions(a.taps for a in axes)
    y = functools.reduce(operator.add, [_seen(x, axes, taps) * w[taps] for taps in positions])
    return jnp.sum(y, -1, keepdims=True) if one_filter else y


def _summed(x: jax.Array) -> jax.Array:
    """The sum along the first axis, by halves: 2 to 3 times as fast as XLA's own."""
    odd = []
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        if x.shape[0] % 2:
            odd.append(x[-1])
        x = x[:half] + x[half : 2 * half]
    return functools.reduce(operator.add, odd, x[0])


def _padded(x: jax.Array, axes: Sequence[Axis]) -> tuple[jax.Array, list[Axis]]:
    """The image with zeros where the kernel leaves it, and the axes counted from there."""
    pads = [
        (max(0, -axis.first), max(0, axis.last - size + 1), 0)
        for axis, size in zip(axes, x.shape[1:-2], strict=True)
    ]
    moved = [a._replace(first=a.first + low) for a, (low, _, _) in zip(axes, pads, strict=True)]
    if any(low or high for low, high, _ in pads):
        keep = (0, 0, 0)
        x = lax.pad(x, jnp.zeros((), x.dtype), [keep, *pads, keep, keep])
    return x, moved


def _seen(x: jax.Array, axes: Sequence[Axis], taps: Sequence[int]) -> jax.Array:
    """The part of the image under one tap of the kernel: (rows, *outputs, ...)."""
    start = [a.first + t * a.step for a, t in zip(axes, taps, strict=True)]
    stop = [s + (a.outputs - 1) * a.stride + 1 for a, s in zip(axes, start, strict=True)]
    strides = [a.stride for a in axes]
    return lax.slice(x, (0, *start, 0, 0), (x.shape[0], *stop, *x.shape[-2:]), (1, *strides, 1, 1))


def _all_seen(x: jax.Array, axes: Sequence[Axis]) -> jax.Array:
    """The parts of the image under all taps, side by side on the last axis.

    One spatial axis after the other: three slices and again three where the kernel is 3 x 3.
    """
    for i, axis in reversed(list(enumerate(axes, 1))):
        ends = (axis.outputs - 1) * axis.stride + 1
        starts = [axis.first + tap * axis.step for tap in range(axis.taps)]
        slices = [lax.slice_in_dim(x, s, s + ends, axis.stride, i) for s in starts]
        x = lax.concatenate(slices, x.ndim - 1) if len(slices) > 1 else slices[0]
    return x


def _size(axes: Sequence[Axis], name: str) -> int:
    """The number of outputs or taps, over all axes."""
    return math.prod(getattr(axis, name) for axis in axes)


def _positions(sizes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """The indices of an array of these sizes, the last one running fastest."""
    return itertools.product(*map(range, sizes))


def _product(a: jax.Array, b: jax.Array, summed: Any, shared: Any, precision: Any) -> jax.Array:
    """`dot_general`, with numbers of 16 bits summed in 32; a pack's members each have their own.

    Where members see the same rows (the first layer) one wide product would do for all, but its
    result holds a pixel's members side by side, and to bring them apart costs more than it saves.
    """
    product = functools.partial(
        lax.dot_general,
        dimension_numbers=(summed, shared),
        precision=precision,
        preferred_element_type=_sum_dtype(a),
    )

    def each(size: int, batched: Sequence[bool], *both: jax.Array) -> tuple[jax.Array, bool]:
        a, b = (
            x if own else jnp.broadcast_to(x, (size, *x.shape))
            for x, own in zip(both, batched, strict=True)
        )
        return jax.vmap(product)(a, b), True

    alone = jax.custom_batching.custom_vmap(product)
    alone.def_vmap(each)
    return alone(a, b)


def _sum_dtype(x: jax.Array) -> Any:
    """The type in which products of numbers of the type of `x` are summed."""
    return jnp.promote_types(x.dtype, jnp.float32)
