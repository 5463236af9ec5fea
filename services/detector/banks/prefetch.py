"""Memory that a loop comes to later is asked for early: a hint to the processor that changes no result.

A bank of thousands of cells is larger than the processor's cache, and which cell a row is in nobody foresees but the
loop itself, which has the rows after it at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_BYTE, _INT = ir.IntType(8).as_pointer(), ir.IntType(32)
_SOON = tuple(ir.Constant(_INT, told) for told in (1, 3, 1))  # to be written, in every cache, data


def _prefetch(typing: Any, table: Any, first: Any, second: Any) -> Any:  # noqa: ARG001 - numba's signature
    """Ask for where `table[first, second]` begins; for kernels only. A place that is none is no error.

    Args:
        table: of two dimensions or more.
        first: a np.uint64.
        second: a np.uint64.
    """

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001 - numba's signature
        array = context.make_array(table)(context, builder, values[0])
        strides = [builder.extract_value(array.strides, axis) for axis in (0, 1)]
        offset = builder.add(*(builder.mul(*pair) for pair in zip(strides, values[1:], strict=True)))
        place = builder.gep(builder.bitcast(array.data, _BYTE), [offset])
        hint = ir.FunctionType(ir.VoidType(), [_BYTE, _INT, _INT, _INT])
        builder.call(builder.module.declare_intrinsic("llvm.prefetch", [_BYTE], hint), [place, *_SOON])
        return context.get_dummy_value()

    return types.none(table, types.uint64, types.uint64), emit


prefetch = cast("Callable[[Any, np.uint64, np.uint64], None]", intrinsic(_prefetch))
