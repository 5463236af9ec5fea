"""The fate of every hostile prediction, as tables."""

from __future__ import annotations

import codecs
from typing import Any

import msgspec
import pytest

from shared.ingest.intake import MAX_UNKNOWN_MODELS
from tests.kit.ingest import NOW, encoded, loan, prediction, predictions

RIGHT = encoded(prediction())


def with_text(old: str, new: str) -> bytes:
    """Return the right event with one piece of its JSON replaced."""
    assert RIGHT.count(old.encode()) == 1
    return RIGHT.replace(old.encode(), new.encode())


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in prediction().items() if name not in names}


def features(**values: object) -> dict[str, Any]:
    return prediction(features={"age": 41, "salary": "low", **values})


REFUSED = {
    "no bytes": (b"", "empty"),
    "a frame around nothing": (b"\0\0\0\0\1", "empty"),
    "tombstone": (None, "tombstone"),
    "spaces": (b"  \n", "json"),
    "not JSON": (b"hello", "json"),
    "cut off": (RIGHT[:-5], "json"),
    "trailing garbage": (RIGHT + b"x", "json"),
    "two documents": (RIGHT + RIGHT, "json"),
    "byte order mark": (codecs.BOM_UTF8 + RIGHT, "json"),
    "UTF-16": (RIGHT.decode().encode("utf-16"), "json"),
    "a lone surrogate in a feature": (with_text('"low"', '"\\ud800"'), "json"),
    "invalid UTF-8 in a feature": (RIGHT.replace(b"low", b"l\xffw"), "utf8"),
    "invalid UTF-8 in an unknown field": (RIGHT.replace(b'{"request_id"', b'{"x":"\xc3\x28","request_id"'), "utf8"),
    "depth bomb": (b"[" * 100_000, "depth"),
    "depth bomb in an unknown field": (with_text('{"request_id"', '{"x":' + "[" * 100_000 + ',"request_id"'), "depth"),
    "depth bomb in a feature": (with_text('"age":41', '"age":' + '{"a":' * 50_000), "depth"),
    "an open string of quotes": (b'{"x":NaN,"y":"' + b'\\"' * 100_000, "json"),
    "1 MB": (encoded(prediction(comment="x" * 1_000_000)), "size"),
    "an array": (b"[1]", "schema"),
    "a number": (b"7", "schema"),
    "null": (b"null", "schema"),
    "an empty object": (b"{}", "schema"),
    **{f"no {name}": (without(name), "schema") for name in ("request_id", "model", "model_version", "features")},
    **{f"null for {name}": (prediction(**{name: None}), "schema") for name in ("request_id", "model", "prediction")},
    "no prediction": (without("prediction"), "schema"),
    "a number for request_id": (prediction(request_id=17), "type"),
    "a number for model": (prediction(model=17), "type"),
    "a number for model_version": (prediction(model_version=1), "type"),
    "a list for features": (prediction(features=[1]), "type"),
    "a list for segments": (prediction(segments=["north"]), "type"),
    "a list for a segment": (prediction(segments={"region": ["north"]}), "type"),
    "text for latency_ms": (prediction(latency_ms="7"), "type"),
    "a number for error": (prediction(error=7), "type"),
    "an empty request_id": (prediction(request_id=""), "id"),
    "a request_id of 257 characters": (prediction(request_id="x" * 257), "id"),
    "NUL in the model": (prediction(model="lo\0an"), "charset"),
    "bidi override in the model": (prediction(model="lo\u202ean"), "charset"),
    "an empty model": (prediction(model=""), "charset"),
    "an empty version": (prediction(model_version=""), "charset"),
    "a space in the version": (prediction(model_version="v 1"), "charset"),
    "a version of 129 characters": (prediction(model_version="v" * 129), "charset"),
    "unknown model": (prediction(model="loans"), "unknown_model"),
    "seconds since 1970 for ts": (prediction(ts=1_750_000_000), "ts"),
    "seconds as text": (prediction(ts="1750000000"), "ts"),
    "no zone": (prediction(ts="2025-06-15T15:06:40"), "ts"),
    "a date": (prediction(ts="2025-06-15"), "ts"),
    "the 30th of February": (prediction(ts="2025-02-30T00:00:00Z"), "ts"),
    "year 0": (prediction(ts="0000-01-01T00:00:00Z"), "ts"),
    "a list as prediction": (prediction(prediction=[1, 0]), "prediction"),
    "an object as prediction": (prediction(prediction={"1": 1}), "prediction"),
    "text as the prediction of a regression": (
        prediction(model="price", features={"size": 1}, prediction="7"),
        "prediction",
    ),
    "true as the prediction of a regression": (
        prediction(model="price", features={"size": 1}, prediction=True),
        "prediction",
    ),
    "NaN as prediction": (with_text('"prediction":1', '"prediction":NaN'), "json"),
    "NaN as ts": (RIGHT.replace(b'"ts":"', b'"ts":NaN,"t":"'), "json"),
    "NaN in a segment": (with_text('"north"', "NaN"), "json"),
    "NaN in an unknown field": (with_text('{"request_id"', '{"x":NaN,"request_id"'), "json"),
    "NaN inside a feature": (with_text('"age":41', '"age":[NaN]'), "json"),
    "NaNs in no feature": (with_text('"age":41', '"age":NaNs'), "json"),
    "1e999 in a feature": (with_text('"age":41', '"age":1e999'), "range"),
    "1e999 as prediction": (with_text('"prediction":1', '"prediction":1e999'), "range"),
    "30 digits in a feature": (with_text('"age":41', '"age":' + "9" * 30), "range"),
    "5,000 digits in a feature": (with_text('"age":41', '"age":' + "9" * 5_000), "range"),
    "30 digits as category": (with_text('"low"', "9" * 30), "range"),
    "30 digits as prediction": (with_text('"prediction":1', '"prediction":' + "9" * 30), "range"),
    "513 features": (features(**{f"x{i}": i for i in range(511)}), "shape"),
    "a probability of 1.1": (prediction(scores={"1": 1.1}), "score"),
    "a probability of -0.1": (prediction(scores={"0": -0.1}), "score"),
    "a single probability of 1.1": (prediction(scores=1.1), "score"),
    "a probability of an unknown class": (prediction(scores={"2": 0.5}), "score"),
}


@pytest.mark.parametrize(("event", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_prediction_that_cannot_be_used_is_a_dead_letter(event: object, reason: str) -> None:
    service = predictions()
    service.take(event)
    assert (service.reasons, service.rows) == ([reason], [])


@pytest.mark.parametrize("broken", [b'{"x":"l\xffw","request_id"', b'{"y":1,"x":"\xc3\x28","request_id"'])
def test_a_field_that_is_known_to_be_unknown_is_utf_8_all_the_same(broken: bytes) -> None:
    service = predictions()
    service.take(with_text('{"request_id"', '{"x":1,"request_id"'))
    service.take(with_text('{"request_id"', '{"x":"größer","y":1,"request_id"'))
    service.take(RIGHT.replace(b'{"request_id"', broken))
    assert (service.reasons, len(service.rows)) == (["utf8"], 2)


USED: dict[str, tuple[object, dict[str, object]]] = {
    "as it should be": (RIGHT, {"f:age": 41.0, "f:salary": "low", "score": 0.75, "prediction": "1"}),
    "a schema registry's frame": (b"\0\0\0\0\1" + RIGHT, {"f:age": 41.0}),
    "spaces around": (b"\n " + RIGHT + b" ", {"f:age": 41.0}),
    "NaN as a feature": (with_text('"age":41', '"age":NaN'), {"f:age": None, "flags:age": 4, "f:salary": "low"}),
    "-Infinity as a feature": (with_text('"age":41', '"age":-Infinity'), {"f:age": None, "flags:age": 4}),
    "NaN as a category": (with_text('"low"', "NaN"), {"f:salary": None, "flags:salary": 4, "f:age": 41.0}),
    "NaN as a score": (with_text('{"0":0.25,"1":0.75}', '{"1":NaN}'), {"score": None, "flags:score": 4}),
    "NaN as a single score": (with_text('{"0":0.25,"1":0.75}', "NaN"), {"score": None, "flags:score": 4}),
    "the word NaN": (features(salary='NaN, "NaN'), {"f:salary": 'NaN, "NaN'}),
    "the word NaN beside the literal": (
        with_text('"age":41,"salary":"low"', '"age":NaN,"salary":"\\"NaN"'),
        {"f:age": None, "flags:age": 4, "f:salary": '"NaN'},
    ),
    "a number as text": (features(age="41"), {"f:age": None, "flags:age": 1, "f:salary": "low"}),
    "true for a number": (features(age=True), {"f:age": None, "flags:age": 1}),
    "a list for a number": (features(age=[41]), {"f:age": None, "flags:age": 1}),
    "an object for a category": (features(salary={"a": 1}), {"f:salary": None, "flags:salary": 1}),
    "two bad features": (features(age="x", salary=[]), {"flags:age": 1, "flags:salary": 1, "score": 0.75}),
    "above the configured range": (features(age=121), {"f:age": None, "flags:age": 2}),
    "below the configured range": (features(age=-0.5), {"f:age": None, "flags:age": 2}),
    "at the end of the range": (features(age=120), {"f:age": 120.0}),
    "null for a feature": (features(age=None), {"f:age": None}),
    "no features at all": (prediction(features={}), {"f:age": None, "f:salary": None}),
    "minus zero": (features(age=-0.0), {"f:age": 0.0}),
    "a number for a category": (features(salary=1.0), {"f:salary": "1"}),
    "true for a category": (features(salary=True), {"f:salary": "true"}),
    "20 digits as category": (features(salary=2**64 - 1), {"f:salary": "18446744073709551615"}),
    "a category in NFD, with spaces": (features(salary=" cafe\u0301 "), {"f:salary": "café"}),
    "a category of 300 characters": (features(salary="x" * 300), {"f:salary": "x" * 256}),
    "control characters in a category": (features(salary="a\0b\n"), {"f:salary": "a\0b"}),
    "text for a score": (prediction(scores={"1": "0.75"}), {"score": None, "flags:score": 1}),
    "text for scores": (prediction(scores="0.75"), {"score": None, "flags:score": 1}),
    "a bad score beside the one that matters": (prediction(scores={"0": "x", "1": 0.75}), {"score": 0.75}),
    "a list of scores": (prediction(scores=[0.25, 0.75]), {"score": None, "flags:score": 1}),
    "no scores": (without("scores"), {"score": None}),
    "null for scores": (prediction(scores=None), {"score": None}),
    "only the other class's score": (prediction(scores={"0": 0.25}), {"score": 0.75}),
    "a single score": (prediction(scores=0.75), {"score": 0.75}),
    "an integer as score": (prediction(scores={"1": 1}), {"score": 1.0}),
    "a score slightly above 1": (prediction(scores={"1": 1.0000005}), {"score": 1.0}),
    "a class written 1.0": (prediction(scores={"1.0": 0.75}), {"score": 0.75}),
    "1.0 as prediction": (prediction(prediction=1.0), {"prediction": "1"}),
    "true as prediction": (prediction(prediction=True), {"prediction": "true"}),
    "a new class": (prediction(prediction="maybe"), {"prediction": "maybe"}),
    "no segments": (without("segments"), {"s:salary": "low", "s:region": None}),
    "a segment that overrides its feature": (
        prediction(segments={"salary": "x"}),
        {"s:salary": "x", "f:salary": "low"},
    ),
    "a segment that is null": (prediction(segments={"salary": None}), {"s:salary": None}),
    "a segment that is a number": (prediction(segments={"region": 2.0}), {"s:region": "2"}),
    "a segment among the features": (
        prediction(features={"region": "south"}, segments=None),
        {"s:region": "south", "s:salary": None},
    ),
    "an unknown segment": (prediction(segments={"planet": "mars"}), {"s:region": None}),
    "the last of two keys": (with_text('"age":41', '"age":41,"age":42'), {"f:age": 42.0}),
    "an odd request_id": (prediction(request_id="{x}*\r\n\0"), {"f:age": 41.0}),
    "no ts": (without("ts"), {"ts": NOW}),
    "an offset in ts": (prediction(ts="2025-06-15T17:06:40.5+02:00"), {"ts": NOW + 500}),
    "ts with a space and small z": (prediction(ts="2025-06-15 15:06:40z"), {"ts": NOW}),
    "ts in nanoseconds": (prediction(ts="2025-06-15T15:06:40.001000001Z"), {"ts": NOW + 1}),
    "a nested model": (RIGHT.replace(b'{"request_id"', b'{"x":{"model":"price"},"request_id"'), {"f:age": 41.0}),
}


@pytest.mark.parametrize(("event", "expected"), USED.values(), ids=USED)
def test_what_is_right_in_a_prediction_is_used(event: object, expected: dict[str, object]) -> None:
    service = predictions()
    service.take(event)
    assert service.reasons == []
    [row] = service.rows
    found = {name: None if row[name] != row[name] else row[name] for name in expected}
    assert found == expected
    assert {name for name in row if name.startswith("flags:")} == {n for n in expected if n.startswith("flags:")}


@pytest.mark.parametrize("event", [event for event, _ in USED.values()], ids=USED)
def test_the_typed_decoder_and_the_slow_path_agree(event: object) -> None:
    service = predictions()
    service.take(event, event)
    slow, typed = ({**row, "src_offset": 0} for row in service.rows)
    assert repr(slow) == repr(typed)


def test_of_two_request_ids_the_last_one_counts() -> None:
    service = predictions()
    service.take(with_text('"request_id":"r1"', '"request_id":"r0","request_id":"r1"'), RIGHT)
    first, second = service.rows
    assert first["id"] == second["id"]


def test_of_two_models_the_last_one_counts() -> None:
    service = predictions()
    service.take(with_text('"model":"loan"', '"model":"price","model":"loan"'))
    assert [block.model for block in service.blocks] == ["loan"]


def test_what_is_ignored_or_found_invalid_is_counted() -> None:
    service = predictions()
    strange = prediction(colour="red", features={"age": "x", "salary": "low", "shoe": 43, "hat": 7})
    service.take(*[prediction(colour="red", features={"age": 130, "shoe": 43})] * 3, strange)
    assert service.seen() == {
        "rows": 4,
        "unknown_field": 4,
        "unknown_feature": 5,
        "out_of_range": 3,
        "type_error": 1,
    }


def test_an_event_of_the_far_future_or_past_is_used_and_counted() -> None:
    service = predictions()
    for ts in ("9999-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2025-06-15T15:12:00Z", "2025-06-15T15:11:00Z"):
        service.take(prediction(ts=ts))
    assert service.seen() == {"rows": 4, "ts_suspect": 3}


def test_a_record_with_too_many_headers_is_a_dead_letter() -> None:
    service = predictions()
    service.write(RIGHT, headers=tuple((f"h{i}", b"") for i in range(33)))
    service.write(RIGHT, headers=(("trace", b"x" * 4096),))
    service.write(RIGHT, headers=(("trace", b"x" * 100),))
    service.take()
    assert (service.reasons, len(service.rows)) == (["headers", "headers"], 1)


def test_a_record_older_than_the_horizon_is_stale() -> None:
    service = predictions()
    ten_days = 10 * 86_400_000
    service.write(RIGHT, ts_ms=NOW - ten_days)
    service.write(RIGHT, ts_ms=NOW - ten_days - 1)
    service.take()
    assert (service.reasons, len(service.rows)) == (["stale"], 1)


def test_duplicates_pass_for_the_joiner_drops_them() -> None:
    service = predictions()
    service.take(RIGHT, RIGHT, prediction(ts="2025-06-15T15:00:00Z", request_id="r1"), prediction(prediction=0))
    first, again, later, other = service.rows
    assert first["id"] == again["id"] == later["id"] == other["id"]
    assert first["digest"] == again["digest"] == later["digest"] != other["digest"]


def test_a_dead_letter_names_its_record_and_not_its_content() -> None:
    service = predictions()
    service.write(RIGHT, partition=1)
    service.write(prediction(request_id="", features={"age": "secret"}), partition=1)
    service.take()
    [letter] = service.letters
    assert (letter.topic, letter.partition, letter.offset) == ("predictions", 1, 1)
    assert (letter.model, letter.service, letter.reason) == ("loan", "prediction_consumer", "id")
    assert "secret" not in repr(letter)


def test_unknown_models_are_counted_by_name_up_to_a_cap() -> None:
    service = predictions(loan())
    service.take(*[prediction(model=f"m{i}") for i in range(MAX_UNKNOWN_MODELS + 5)], prediction(model="m0"))
    assert service.seen("m0") == {"unknown_model": 2}
    assert service.seen("__other__") == {"unknown_model": 5}


def test_unknown_names_beyond_the_cap_are_still_counted() -> None:
    service = predictions()
    service.take(*[prediction(**{f"x{i}": 1}) for i in range(70)] * 2)
    assert service.seen() == {"rows": 140, "unknown_field": 140}


def test_a_feature_whose_name_needs_escaping_is_read() -> None:
    definition = loan()
    name = 'a"b\\'
    schema = msgspec.structs.replace(definition.schema, features={"age": "numeric", name: "numeric"})
    service = predictions(msgspec.structs.replace(definition, schema=schema))
    service.take(features(**{name: 5}), features(**{name: 6}))
    assert [row[f"f:{name}"] for row in service.rows] == [5.0, 6.0]


def test_right_events_go_on_beside_garbage() -> None:
    service = predictions()
    service.take(RIGHT, b"x", RIGHT, None, RIGHT)
    assert (len(service.rows), service.reasons) == (3, ["json", "tombstone"])
