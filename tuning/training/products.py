"""Products of Dense layers that read rows of the input, over several kernels at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def layers_of(model: keras.Model) -> Iterator[Any]:
    yield from model._flatten_layers(include_self=False)


def make_products_wide(model: keras.Model) -> list[Any]:
    """Have Dense layers that read rows of the model's input form their gradient as it is stored.

    Returns them.
    """
    import keras

    layers = []
    for layer in layers_of(model):
        plain = type(layer) is keras.layers.Dense and not layer.lora_rank
        if plain and layer.quantization_mode is None and _reads_the_input(layer):
            layer.call = functools.partial(_dense, layer)
            layers.append(layer)
    return layers


def _reads_the_input(layer: Any) -> bool:
    """Whether a layer is applied once, to a matrix: the model's input, as it is or flattened."""
    import keras

    nodes = layer._inbound_nodes
    if len(nodes) != 1 or len(nodes[0].input_tensors) != 1:
        return False
    tensor = nodes[0].input_tensors[0]
    if len(tensor.shape) != 2:
        return False
    producer = tensor._keras_history.operation
    if type(producer) is keras.layers.Flatten:
        producer = producer._inbound_nodes[0].input_tensors[0]._keras_history.operation
    return isinstance(producer, keras.layers.InputLayer)


def _dense(layer: Any, inputs: Any, training: bool | None = None) -> Any:
    """What `keras.layers.Dense` computes of the columns its kernel is for, by `_product`."""
    import keras

    kernel = keras.ops.convert_to_tensor(layer.kernel)
    outputs = _product()(inputs[:, : kernel.shape[0]], kernel)
    if layer.bias is not None:
        outputs = keras.ops.add(outputs, layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


@functools.cache
def _product() -> Any:
    """Rows times kernel, its gradient laid out as the kernel is: (in, out), or (in, member, out).

    JAX would form the gradient transposed, and the optimizer then read it against the grain.
    """
    import jax

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def product(x: Any, kernel: Any) -> Any:
        return x @ kernel

    def forward(x: Any, kernel: Any) -> Any:
        return product(x, kernel), (x, kernel)

    def backward(saved: Any, gradient: Any) -> Any:
        x, kernel = saved
        contract = functools.partial(jax.lax.dot_general, preferred_element_type=gradient.dtype)
        return (
            contract(gradient, kernel, (((1,), (1,)), ((), ()))),
            contract(x, gradient, (((0,), (0,)), ((), ()))),
        )

    product.defvjp(forward, backward)
    return product
