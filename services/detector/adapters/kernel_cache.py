"""Where compiled kernels are kept between runs: the user's cache, because installed packages may be read-only."""

from __future__ import annotations

import os
from pathlib import Path

from services.detector.banks.compiled import keep_kernels
from shared.adapters.user_cache import cache_folder
from shared.settings import read_settings


def use_kernel_cache() -> Path | None:
    """Keep kernels in `kernels` of the cache folder, and return it; None if it cannot be written to.

    Without a folder kernels are compiled again in every process.

    Raises:
        ConfigurationError: a setting in the environment is wrong.
    """
    folder = cache_folder(read_settings(os.environ).cache, os.environ) / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    keep_kernels(str(folder))
    return folder
