"""The process's surroundings: its environment, the user's cache folder, the signals that ask it to stop."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from shared.adapters.user_cache import cache_folder
from shared.settings import Settings, read_settings


def settings() -> Settings:
    """Return where things are.

    Raises:
        ConfigurationError: an unknown `DRIFTLINE_` variable, or one that does not fit.
    """
    return read_settings(os.environ)


def cache(found: Settings) -> Path:
    """Return where jars and compiled kernels are kept."""
    return cache_folder(found.cache, os.environ)


def until_asked_to_stop() -> None:
    """Return at SIGTERM or Ctrl-C."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    asked.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
