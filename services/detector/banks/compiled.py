"""How the banks' loops are compiled: for any processor of the family, without fast math, kept on disk.

A detector that restarts on another machine must add up the same bits, so the code is generated for the generic
processor and for no extension of it. Loops release the interpreter lock. Where the compiled code is kept is decided at
the edge (`keep_kernels`); until then numba keeps it beside the source.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

vars(numba.config).update(CPU_NAME="generic", CPU_FEATURES="")

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Scalar = TypeVar("Scalar", bound=np.generic)

_kernels: list[Any] = []


def kernel(function: Kernel) -> Kernel:
    """Compile `function` at its first call; it keeps its signature. Kernels call only kernels of their own module.

    numba judges whether a kept kernel is stale by its own file alone, hence the restriction.
    """
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    _kernels.append(compiled)
    _keep(compiled)
    return cast("Kernel", compiled)


def keep_kernels(folder: str) -> None:
    """Keep compiled kernels in `folder`, those of modules that are imported already and of all to come."""
    vars(numba.config).update(CACHE_DIR=folder)
    for compiled in _kernels:
        _keep(compiled)


def dense(values: NDArray[Any], dtype: type[Scalar]) -> NDArray[Scalar]:
    """Return `values` in the one layout that kernels are compiled for; copied only where it is not that already."""
    if values.dtype == dtype and values.flags.carray:
        return values  # what `require` finds out as well, in five times the time
    return np.require(values, dtype, ["C", "A", "W"])


def _keep(compiled: Any) -> None:
    # Nowhere to write (a read-only image without a cache folder) costs compiling again, not the start of the service.
    with suppress(RuntimeError):
        compiled.enable_caching()
