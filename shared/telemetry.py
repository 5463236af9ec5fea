"""Logs: JSON lines for machines, aligned text for people. The libraries' own lines take the same way."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TextIO

import orjson
import structlog
from structlog.typing import Processor

_QUIET = dict.fromkeys(("librdkafka", "asyncio", "faust", "mode", "aiokafka"), logging.WARNING)


def configure_logging(service: str, level: str, stream: TextIO) -> None:
    """Send every line of this process to `stream`, at `level` (debug | info | warning | error) and above.

    A line has `event`, `level`, `timestamp` (RFC 3339, UTC), `logger` and `service`; a terminal gets text instead.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = (
        # Plain: the traceback that rich makes shows the values of variables, and some are secret.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if stream.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    )
    lines = logging.StreamHandler(stream)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[lines], level=level.upper(), force=True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, logging.getLogger().level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _json(line: Mapping[str, object], **_: object) -> str:
    return orjson.dumps(line, default=repr).decode()
