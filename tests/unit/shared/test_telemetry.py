"""Log lines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from shared.telemetry import configure_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers = []
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_the_names_that_collectors_know() -> None:
    stream = io.StringIO()
    configure_logging("joiner", "info", stream)

    structlog.get_logger("driftline.test").info("joined", rows=3, model="car_loan")

    (line,) = lines(stream)
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {
        "event": "joined",
        "rows": 3,
        "model": "car_loan",
        "level": "info",
        "logger": "driftline.test",
        "service": "joiner",
    }


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging("joiner", "warning", stream)

    log = structlog.get_logger("driftline.test")
    log.info("quiet")
    log.warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_the_lines_of_libraries_take_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging("joiner", "info", stream)

    logging.getLogger("librdkafka").info("connected")
    logging.getLogger("librdkafka").error("broker %s is down", "a:1")

    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"], line["service"]) == (
        "broker a:1 is down",
        "error",
        "librdkafka",
        "joiner",
    )


def test_an_error_comes_with_its_trace_in_one_line() -> None:
    stream = io.StringIO()
    configure_logging("joiner", "info", stream)

    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger("driftline.test").critical("bug", exc_info=True)

    (line,) = lines(stream)
    assert line["exception"].splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_what_json_does_not_know_is_written_as_text() -> None:
    stream = io.StringIO()
    configure_logging("joiner", "info", stream)

    structlog.get_logger("driftline.test").info("seen", where=range(3))

    assert lines(stream)[0]["where"] == "range(0, 3)"


def test_a_person_at_a_terminal_gets_text() -> None:
    stream = Terminal()
    configure_logging("joiner", "info", stream)

    structlog.get_logger("driftline.test").info("joined")

    assert "joined" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_configuring_twice_does_not_repeat_lines() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("joiner", "info", first)
    configure_logging("joiner", "info", second)

    structlog.get_logger("driftline.test").info("once")

    assert (len(lines(first)), len(lines(second))) == (0, 1)


@pytest.mark.parametrize("hostile", ['m\n{"level": "critical", "event": "forged"}', "%s %n {0} ${HOME}", "\x1b[31mred"])
def test_what_comes_from_outside_forges_no_line_and_is_no_template(hostile: str) -> None:
    stream = io.StringIO()
    configure_logging("joiner", "info", stream)

    structlog.get_logger("driftline.test").info(hostile, model=hostile)

    assert "\x1b" not in stream.getvalue()
    (line,) = lines(stream)
    assert (line["event"], line["model"]) == (hostile, hostile)


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["lines", "terminal"])
def test_a_trace_shows_no_variable(stream: io.StringIO) -> None:
    configure_logging("joiner", "info", stream)

    def connect(password: str) -> None:
        raise RuntimeError(f"{len(password)} characters")  # the trace shows this line, and not what is in it

    try:
        connect("hunter" + str(1 + 1))
    except RuntimeError:
        structlog.get_logger("driftline.test").critical("bug", exc_info=True)

    assert "RuntimeError: 7 characters" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
