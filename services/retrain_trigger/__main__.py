"""Entry point: `python -m services.retrain_trigger`."""

from __future__ import annotations

import os
import sys

from services.retrain_trigger.adapters.service import wire
from shared.adapters.faust import serve_records


def main() -> int:
    """Run the retrain trigger until SIGTERM; return the exit code."""
    return serve_records("retrain_trigger", os.environ, wire)


if __name__ == "__main__":
    sys.exit(main())
