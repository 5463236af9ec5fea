"""Entry point: `python -m services.prediction_consumer`."""

from __future__ import annotations

import os
import sys

from services.prediction_consumer.adapters.service import wire
from services.prediction_consumer.wire import NAME
from shared.adapters.process import serve


def main() -> int:
    """Run the consumer of predictions until SIGTERM; return the exit code."""
    return serve(NAME, os.environ, wire)


if __name__ == "__main__":
    sys.exit(main())
