"""Whatever is written to an input becomes a row that reads back, or a dead letter of a documented reason."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.events.alert import IncidentEvent, decode_alert
from shared.events.block import BlockKind
from shared.events.dead_letter import REASONS
from shared.ingest.intake import Refused
from shared.log import Records
from tests.hostile.fates import SOURCE, intake, meet
from tests.kit.alerts import incident, incident_bytes
from tests.kit.ingest import NOW, encoded, label, prediction

TEXTS = st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
GOOD = [
    prediction(),
    label(),
    {"request_id": "r", "model": "price", "model_version": "v", "features": {"size": 1.5}, "prediction": 2.0},
    {"request_id": "r", "model": "animals", "model_version": "v", "features": {}, "prediction": "cat", "scores": None},
]
NUMBERS = st.sampled_from(["NaN", "-Infinity", "1e999", "-0", "0.1e-400", "9" * 40, "1E5", "00", "+1", ".5", "true"])


def reason_of(alert: bytes) -> str | None:
    """Return why an alert cannot be read, if it cannot."""
    try:
        decode_alert(alert)
    except Malformed as malformed:
        return malformed.reason
    return None


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """An event with some fields replaced by anything, at any depth."""
    event: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(draw(st.sampled_from(GOOD))))
    for name in draw(st.lists(st.sampled_from([*sorted(event), "extra", "ts"]), max_size=3)):
        inner = event.get(name)
        if isinstance(inner, dict) and draw(st.booleans()):
            event[name] = {**inner, draw(st.sampled_from([*sorted(inner), "more"])): draw(TREES)}
        else:
            event[name] = draw(TREES)
    return msgspec.json.encode(event)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An event's bytes with pieces cut out, repeated or overwritten."""
    content = encoded(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        stop = draw(st.integers(start, min(start + 12, len(content))))
        piece = draw(st.binary(max_size=6) | NUMBERS.map(str.encode) | st.just(content[start:stop] * 2))
        content = content[:start] + piece + content[stop:]
    return content


PAYLOADS = st.lists(
    st.binary(max_size=60) | changed() | damaged() | TREES.map(msgspec.json.encode), min_size=1, max_size=6
)


@given(payloads=PAYLOADS, kind=st.sampled_from([BlockKind.PREDICTION, BlockKind.LABEL]))
def test_every_event_has_one_documented_fate(payloads: list[bytes], kind: BlockKind) -> None:
    meet(kind, payloads)


@given(payloads=PAYLOADS, kind=st.sampled_from([BlockKind.PREDICTION, BlockKind.LABEL]))
def test_company_changes_no_fate(payloads: list[bytes], kind: BlockKind) -> None:
    def fates(size: int) -> dict[int, str]:
        taken = intake(kind)
        found: dict[int, str] = {}
        for first in range(0, len(payloads), size):
            part = payloads[first : first + size]
            records = Records(SOURCE, range(first, first + len(part)), [NOW] * len(part), part)
            for outcome in taken.admit(records, stale_at_ms=NOW):
                if isinstance(outcome, Refused):
                    found[outcome.record.offset] = outcome.malformed.reason
                else:
                    found |= dict.fromkeys(outcome.rows.offsets, f"{outcome.model.name} {outcome.model_version}")
        return found

    assert fates(1) == fates(len(payloads))


@given(
    content=st.binary(max_size=80) | TREES.map(msgspec.json.encode),
    cut=st.integers(0, 400),
    other=st.binary(max_size=8),
)
def test_an_alert_reads_or_is_malformed(content: bytes, cut: int, other: bytes) -> None:
    whole = incident_bytes(IncidentEvent.OPENED, incident())
    for value in (content, whole[:cut] + other + whole[cut + len(other) :]):
        assert reason_of(value) in (None, *REASONS)
