"""What a container's process loads: numerics take a second of its start and 130 MB of its memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared.services import SERVICES
from tests.kit.repository import ROOT

NUMERICS = {"numba", "scipy"}


@pytest.mark.parametrize("service", [service for service in SERVICES if service != "detector"])
def test_only_the_detector_loads_numerics(service: str) -> None:
    assert NUMERICS.isdisjoint(loaded(service))


def test_the_detector_loads_nothing_that_its_start_would_wait_for() -> None:
    assert {"scipy.stats", "scipy.optimize"}.isdisjoint(loaded("detector"))


def loaded(service: str) -> list[str]:
    """Return the modules that a process of a service has before its first step."""
    imports = f"import sys, services.cli.adapters.hosting, services.{service}.__main__"
    command = [sys.executable, "-c", f"{imports}; print(*sys.modules)"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
