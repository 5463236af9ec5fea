"""The fate of labels, as tables."""

from __future__ import annotations

import pytest

from tests.kit.ingest import NOW, encoded, label, labels

RIGHT = encoded(label())

REFUSED = {
    "no bytes": (b"", "empty"),
    "tombstone": (None, "tombstone"),
    "not JSON": (b"hello", "json"),
    "a list": (b"[]", "schema"),
    "no request_id": ({"model": "loan", "ts": "2025-06-15T15:06:40Z", "label": 1}, "schema"),
    "no ts": ({"request_id": "r1", "model": "loan", "label": 1}, "schema"),
    "no label": ({"request_id": "r1", "model": "loan", "ts": "2025-06-15T15:06:40Z"}, "schema"),
    "null for label": (label(label=None), "schema"),
    "seconds for ts": (label(ts=1_750_000_000), "ts"),
    "no zone": (label(ts="2025-06-15T15:06:40"), "ts"),
    "a long request_id": (label(request_id="x" * 257), "id"),
    "unknown model": (label(model="loans"), "unknown_model"),
    "a class that is not declared": (label(label="maybe"), "label"),
    "true where classes are 0 and 1": (label(label=True), "label"),
    "a list for a class": (label(label=[1]), "label"),
    "text for a regression": (label(model="price", label="7"), "label"),
    "true for a regression": (label(model="price", label=True), "label"),
    "NaN": (RIGHT.replace(b'"label":1', b'"label":NaN'), "json"),
    "1e999": (RIGHT.replace(b'"label":1', b'"label":1e999'), "range"),
    "30 digits": (label(model="price", label=10**30), "range"),
    "text for label_version": (label(label_version="2"), "type"),
    "65 bits of label_version": (label(label_version=2**64), "range"),
    "a number for source": (label(source=7), "type"),
}


@pytest.mark.parametrize(("event", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_label_that_cannot_be_used_is_a_dead_letter(event: object, reason: str) -> None:
    service = labels()
    service.take(event)
    assert (service.reasons, service.rows) == ([reason], [])


def test_a_field_that_is_known_to_be_unknown_is_utf_8_all_the_same() -> None:
    service = labels()
    for colour in (b"red", "größer".encode(), b"r\xffd"):
        service.take(RIGHT.replace(b'{"request_id"', b'{"colour":"' + colour + b'","request_id"'))
    assert (service.reasons, len(service.rows)) == (["utf8"], 2)


USED: dict[str, tuple[object, dict[str, object]]] = {
    "as it should be": (RIGHT, {"label": "1", "label_version": None, "ts": NOW}),
    "a class as text": (label(label="1"), {"label": "1"}),
    "a class as float": (label(label=1.0), {"label": "1"}),
    "a version and a source": (label(label_version=3, source="crm"), {"label_version": 3}),
    "null for both": (label(label_version=None, source=None), {"label_version": None}),
    "an unknown field": (label(colour="red"), {"label": "1"}),
    "an integer for a regression": (label(model="price", label=7), {"label": 7.0}),
    "20 digits for a regression": (label(model="price", label=10**19), {"label": 1e19}),
    "a label before its prediction, of 1970": (label(ts="1970-01-01T00:00:00Z"), {"ts": 0}),
}


@pytest.mark.parametrize(("event", "expected"), USED.values(), ids=USED)
def test_what_is_right_in_a_label_is_used_by_either_decoder(event: object, expected: dict[str, object]) -> None:
    service = labels()
    service.take(event, event)
    assert service.reasons == []
    assert [{name: row[name] for name in expected} for row in service.rows] == [expected, expected]


def test_unknown_fields_of_labels_are_counted() -> None:
    service = labels()
    service.take(label(colour="red"), label(colour="red"), label())
    assert service.seen() == {"rows": 3, "unknown_field": 2}


def test_a_label_has_the_columns_of_its_kind() -> None:
    service = labels()
    service.take(RIGHT)
    [block] = service.blocks
    assert (block.model, block.model_version, block.stamp.horizon_ms) == ("loan", "", 10 * 86_400_000)
    names = ["id", "ts", "src_topic", "src_partition", "src_offset", "label", "label_version"]
    assert list(service.rows[0]) == names
    assert (service.rows[0]["src_topic"], service.rows[0]["src_offset"]) == ("ground-truth", 0)
