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
    imports = f"import sys, services.cli.adapters.hosting, services.{service}.__main__"

    ran = subprocess.run(
        [sys.executable, "-c", f"{imports}; print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert NUMERICS.isdisjoint(ran.stdout.split())
