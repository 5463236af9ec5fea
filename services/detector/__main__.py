"""Entry point: `python -m services.detector`."""

from __future__ import annotations

import os
import sys

from services.detector.adapters.service import wire
from services.detector.stage import DetectorStage
from shared.adapters.process import serve


def main() -> int:
    """Run the detector until SIGTERM; return the exit code."""
    return serve(DetectorStage.name, os.environ, wire)


if __name__ == "__main__":
    sys.exit(main())
