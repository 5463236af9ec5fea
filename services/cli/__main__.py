"""Entry point: `driftline` and `python -m services.cli`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from services.cli import output
from services.cli.app import application
from services.cli.exits import Exit, advice, exit_code
from shared.errors import DriftlineError

INTERRUPTED = 130  # what a shell expects after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an expected error is one sentence and what to do next."""
    # An unreachable broker is told of once, by its error; librdkafka's own account of it would bury that. Services
    # configure logging, and so still get it.
    logging.getLogger("librdkafka").addHandler(logging.NullHandler())
    try:
        application()(list(sys.argv[1:] if arguments is None else arguments), prog_name="driftline")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else Exit.OK
    except DriftlineError as error:
        output.message(f"driftline: {error}")
        output.message(advice(error))
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough; the interpreter must not complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
