"""Where things that can be had again are kept for a user: jars, compiled kernels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def cache_folder(chosen: str, environ: Mapping[str, str]) -> Path:
    """Return the folder, which may not exist yet: `chosen` (`DRIFTLINE_CACHE`) or `driftline` in the user's cache."""
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "driftline"
