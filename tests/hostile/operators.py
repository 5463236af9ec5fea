"""Rows of configurations, names and addresses: what operators and strangers can write where people read."""

from __future__ import annotations

import csv
import io
import socket

from services.cli.audit.entries import Entry
from services.cli.audit.lines import csv_of
from services.notifier.render import render
from shared.adapters.health import serving_health
from shared.adapters.memory import ManualClock
from shared.definition import Catalogue, control_records
from shared.destinations import check_url, may_connect
from shared.errors import ConfigurationError, Corrupt
from shared.events.alert import IncidentEvent
from shared.log import Record
from shared.monitors import parse_monitors
from shared.progress import Progress
from shared.settings import Settings, read_settings
from tests.hostile.table import refusals, row
from tests.kit.alerts import culprit, incident
from tests.kit.ingest import TOPICS, loan
from tests.kit.repository import ROOT

MODEL = "{{task: regression, reference: r.csv{}}}"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def config(model: str = "m", extra: str = "") -> bytes:
    return f"models:\n  {model}: {MODEL.format(extra)}\n".encode()


def refused_configurations(*contents: bytes) -> str:
    return refusals(*[lambda content=content: parse_monitors(content) for content in contents], by=ConfigurationError)


@row(30, "a model or an installation named to steer Redis keys", "7 of 7 refused")
def key_names() -> str:
    assert refused_configurations(config()) == "0 of 1 refused"
    names = ('"{x}"', '"a b"', '"a\\nb"', '"*"', '""')
    found = refused_configurations(*[config(name) for name in names])
    installations = refusals(
        *[lambda name=name: read_settings({"DRIFTLINE_INSTALLATION": name}) for name in ("{x}", "a:b")],
        by=ConfigurationError,
    )
    assert (found, installations) == ("5 of 5 refused", "2 of 2 refused")
    return "7 of 7 refused"


@row(47, "YAML that builds objects, laughs, repeats keys, is 5 MB, has tabs, or words for booleans", "8 of 8 refused")
def yaml() -> str:
    return refused_configurations(
        b"models: !!python/object/apply:os.system [true]\n",
        BOMB.encode(),
        config() + b"# " + b"x" * 5_000_000,
        b"models:\n\tm: {}\n",
        config() + b"  m: {task: regression, reference: r.csv}\n",
        config("no"),
        config("017"),
        config("1_000"),
    )


@row(
    48,
    "unknown keys, numbers outside their range, everything else that a configuration gets wrong",
    "every mistake refused with its path",
)
def mistakes() -> str:
    files = sorted((ROOT / "tests" / "monitors").glob("bad_*.yaml"))
    for path in files:
        content = path.read_bytes()
        try:
            parse_monitors(content)
        except ConfigurationError as exc:
            if str(exc) == content.decode().splitlines()[0].removeprefix("# "):
                continue
        return f"{path.name} is taken"
    return "every mistake refused with its path" if len(files) > 100 else "there are too few"


@row(49, "a configuration that is half written", "5 of 5 refused")
def half_written() -> str:
    *_, whole = control_records(TOPICS, loan(), b"")
    assert whole.value is not None
    halves = [whole.value[:size] for size in (0, 1, len(whole.value) // 2, len(whole.value) - 1)]

    def absorb(value: bytes) -> None:
        Catalogue().absorb(Record(TOPICS.control, 0, 0, 0, whole.key, value))

    control = refusals(*[lambda value=value: absorb(value) for value in halves], by=Corrupt)
    assert control == "4 of 4 refused"
    assert refused_configurations(config()[:-10]) == "1 of 1 refused"
    return "5 of 5 refused"


@row(50, "secrets where a mistake or a print would tell them", "told nowhere")
def secrets() -> str:
    planted = {"DRIFTLINE_ID_KEY": "planted-key", "DRIFTLINE_REDIS_URL": "redis://u:planted@h/0"}
    told = [repr(read_settings(planted)), str(read_settings(planted))]
    for mistake in ({"DRIFTLINE_HEALTH_PORT": "planted"}, {"DRIFTLINE_REDIS_URLS": "planted"}):
        try:
            read_settings({**planted, **mistake})
        except ConfigurationError as exc:
            told.append(f"{exc} {exc!r}")
    assert len(told) == 4
    return "told nowhere" if not any("planted" in text for text in told) else "told"


@row(
    51,
    "webhooks to metadata services, files, users in URLs, odd addresses, names that turn private",
    "14 of 14 refused",
)
def destinations() -> str:
    urls = (
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https://user:password@example.org/",
        "https://example.org@169.254.169.254/",
        "http://example.org/",
    )
    refused = refusals(*[lambda url=url: check_url(url, allow_private=False) for url in urls], by=ValueError)
    assert refused == f"{len(urls)} of {len(urls)} refused"
    rebound = ("169.254.169.254", "10.0.0.1", "127.0.0.1")
    assert not any(may_connect("hooks.example.org", address, allow_private=False) for address in rebound)
    return f"{len(urls) + len(rebound)} of {len(urls) + len(rebound)} refused"


def rendered(*names: str) -> list[str]:
    return [render(IncidentEvent.OPENED, incident(culprits=[culprit(segment=name)])) for name in names]


@row(52, "names that are mentions, links, tags, line breaks or 10 KB", "shown as short text")
def names() -> str:
    hostile = (
        "<!channel>",
        "<https://evil|click>",
        "<script>alert(1)</script>",
        "a\nb\x1b[31m",
        "\u202egnp",
        "x" * 10_000,
    )
    for line in rendered(*hostile):
        assert not set("<>\n\x1b\u202e") & set(line)
        assert "x" * 81 not in line
    return "shown as short text"


@row(53, "names that are templates", "shown as they are")
def templates() -> str:
    hostile = ("{{7*7}}", "${HOME}", "%n%s", "{0}", "{incident.__class__}")
    found = rendered(*hostile)
    return "shown as they are" if all(name in line for name, line in zip(hostile, found, strict=True)) else "expanded"


@row(54, "names that are formulas of a spreadsheet", "5 of 5 are text in CSV")
def formulas() -> str:
    hostile = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1")
    entries = [Entry(**{**dict.fromkeys(Entry.__struct_fields__, ""), "text": name}) for name in hostile]
    _, *lines = csv.reader(io.StringIO(csv_of(entries)))
    column = Entry.__struct_fields__.index("text")
    are_text = [line[column] == f"'{name}" for name, line in zip(hostile, lines, strict=True)]
    return f"{sum(are_text)} of {len(hostile)} are text in CSV"


@row(56, "huge and foreign requests to the health port", "refused, and the next one is answered")
def health() -> str:
    with serving_health("joiner", Settings(health_port=0), Progress(ManualClock())) as (_, port):

        def ask(request: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                try:
                    connection.sendall(request)
                    return connection.recv(64)
                except ConnectionError:
                    return b""

        hostile = [
            ask(b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n"),
            ask(b"GET /livez HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"),
            ask(b"POST /livez HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
            ask(b"\x16\x03\x01\x02\0garbage\r\n\r\n"),
        ]
        assert not any(b" 200 " in answer for answer in hostile)
        assert b" 200 " in ask(b"GET /livez HTTP/1.1\r\n\r\n")
    return "refused, and the next one is answered"
