"""Entry point: `python -m services.joiner`."""

from __future__ import annotations

import os
import sys

from services.joiner.adapters.service import wire
from services.joiner.stage import JoinerStage
from shared.adapters.process import serve


def main() -> int:
    """Run the joiner until SIGTERM; return the exit code."""
    return serve(JoinerStage.name, os.environ, wire)


if __name__ == "__main__":
    sys.exit(main())
