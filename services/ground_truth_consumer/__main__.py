"""Entry point: `python -m services.ground_truth_consumer`."""

from __future__ import annotations

import os
import sys

from services.ground_truth_consumer.adapters.service import wire
from services.ground_truth_consumer.wire import NAME
from shared.adapters.process import serve


def main() -> int:
    """Run the consumer of labels until SIGTERM; return the exit code."""
    return serve(NAME, os.environ, wire)


if __name__ == "__main__":
    sys.exit(main())
