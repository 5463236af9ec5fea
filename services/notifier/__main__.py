"""Entry point: `python -m services.notifier`."""

from __future__ import annotations

import os
import sys

from services.notifier.adapters.service import wire
from shared.adapters.faust import serve_records


def main() -> int:
    """Run the notifier until SIGTERM; return the exit code."""
    return serve_records("notifier", os.environ, wire)


if __name__ == "__main__":
    sys.exit(main())
