"""Faster equivalents of operations that XLA's CPU compiler does slowly; one file each.

`REWRITES` holds those of a single operation: functions of its inputs and parameters that return
what it returns, or None to leave it as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuning.engines.rewrites import pooling
from tuning.engines.rewrites.convolution import convolution
from tuning.engines.rewrites.random_bits import random_bits

REWRITES: dict[str, Callable[..., Any]] = {
    "conv_general_dilated": convolution,
    "random_bits": random_bits,
    "reduce_window_max": pooling.reduce_window_max,
    "reduce_window_min": pooling.reduce_window_min,
    "reduce_window_sum": pooling.reduce_window_sum,
    "select_and_scatter_add": pooling.select_and_scatter_add,
}
