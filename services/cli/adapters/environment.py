"""The process's surroundings: its environment, the user's cache folder, the signals that ask it to stop."""

from __future__ import annotations

import getpass
import os
import signal
import time
from pathlib import Path

from shared.adapters.credentials import surroundings
from shared.adapters.user_cache import cache_folder
from shared.errors import ConfigurationError
from shared.identity import IdKey
from shared.monitors import ModelSpec
from shared.settings import Settings

LOOK_SECONDS = 0.2  # how late a stop is noticed


def settings() -> Settings:
    """Return where things are.

    Raises:
        ConfigurationError: an unknown `DRIFTLINE_` variable, or one that does not fit.
    """
    return surroundings(os.environ)


def override(name: str, value: str) -> None:
    """Let a variable be something else in this process, as an option says."""
    os.environ[name] = value


def cache(found: Settings) -> Path:
    """Return where jars and compiled kernels are kept."""
    return cache_folder(found.cache, os.environ)


def level_key(found: Settings, model: str, spec: ModelSpec) -> IdKey:
    """Return the key of a model whose configuration hashes values.

    Raises:
        ConfigurationError: there is none, and without one a hash hides nothing.
    """
    if not found.id_key:
        (name, *_) = sorted(spec.hashed)
        raise ConfigurationError("DRIFTLINE_ID_KEY", f"is empty, and models.{model}.features.{name} is `hash: true`")
    return IdKey(found.id_key.encode())


def actor(given: str | None) -> str:
    """Return who acts: who is named, else the user of this process."""
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"


def until_asked_to_stop() -> None:
    """Return at SIGTERM or Ctrl-C."""
    asked: list[int] = []  # no lock: the next signal may come before a handler returns
    before = {
        number: signal.signal(number, lambda heard, _: asked.append(heard))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    while not asked:
        time.sleep(LOOK_SECONDS)
    for number, handler in before.items():
        signal.signal(number, handler)
