"""Where compiled kernels are kept between runs: the user's cache, because installed packages may be read-only.

An image brings its kernels compiled, in a folder that nobody may write to. numba keeps nothing in such a folder and so
reads nothing from it either; the process then works on a copy of its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from services.detector.banks.compiled import keep_kernels
from shared.adapters.user_cache import cache_folder
from shared.settings import read_settings


def use_kernel_cache() -> Path | None:
    """Keep kernels in `kernels` of the cache folder, and return where they are kept.

    A folder that is there but cannot be written to is copied (some 6 MB) to a temporary one, which lasts as long as
    the process. None if there is neither a folder nor a place to make one: kernels are then compiled again in every
    process.

    Raises:
        ConfigurationError: a setting in the environment is wrong.
    """
    folder = cache_folder(read_settings(os.environ).cache, os.environ) / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            folder = _copy_of_our_own(folder)
    except OSError:
        return None
    keep_kernels(str(folder))
    return folder


def _copy_of_our_own(folder: Path) -> Path:
    # Under a name that nobody can foresee: kept kernels are code, which no other user may slip in.
    ours = Path(tempfile.mkdtemp(prefix="driftline-kernels-"))
    atexit.register(shutil.rmtree, ours, ignore_errors=True)
    for kept in folder.rglob("*.nb[ci]"):
        copy = ours / kept.relative_to(folder)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(kept, copy)  # the contents alone: the copy is writable whatever the original is
    return ours
